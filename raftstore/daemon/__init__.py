"""`pinnace raftstore`: a member as a process. Flags, ids, certificates, listeners, chores.

`process.open_store` puts a member together and starts it; the control plane opens its own member
the same way.
"""
