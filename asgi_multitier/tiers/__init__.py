"""Storage of entries.

- base: the protocols that a tier implements, and `TierConfig`
- memory, null: local tiers
- sqlite, memcached, null: shared tiers
- sqlite_worker: threads and connections for SQLite files
- codec, metadata: entries as bytes
"""
