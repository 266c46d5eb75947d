"""Where runs are recorded: the adapters of `penstock.ports.Store`, and the only home of SQL.

`penstock.stores.sqlite` keeps everything in one file, `penstock.stores.postgres` in a database on a server. What both do
is in `reading` and `relational`; what is to be started, in `agenda`; what is recorded of assets, in `catalog`. Their tables
are in `schema` and `postgres_schema`, as numbered migrations.
"""
