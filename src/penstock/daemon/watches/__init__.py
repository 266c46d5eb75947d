"""What penstock itself looks at for triggers: files in a folder, objects in a bucket, rows of a table.

Each look goes on from a cursor, which is recorded together with what the look has led to. What is there at the first look does
not count.
"""
