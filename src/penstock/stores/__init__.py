"""Where runs are recorded: the adapters of `penstock.ports.Store`, and the only home of SQL.

`penstock.stores.sqlite` keeps everything in one file; `penstock.stores.schema` has its tables, as numbered migrations.
"""
