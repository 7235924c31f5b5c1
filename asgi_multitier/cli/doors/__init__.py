"""The ways to reach a cache, which give the same JSON.

- http: its admin application; workers: the sockets of the workers of this machine
- shared: the log and the beats on the server, without any process of the application
- choosing: which of them a command uses
"""
