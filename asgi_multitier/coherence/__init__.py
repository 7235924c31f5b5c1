"""The invalidation log: what is still valid, on every node.

- log: the protocol; index, marks: the knowledge of one node, and whether an entry is valid
- follower: the decisions of the protocol, without I/O; settling: its settling periods
- records: records as bytes; store: the protocol of their storage
- shared: the base of logs with several nodes; tail reads, outbox writes
- local: the log of one process; nearby: of one machine; sqlite: in a file
- repeats: what a request dropped is dropped again at its end
"""
