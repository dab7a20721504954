"""What must hold between objects before one is stored: the built-in admission plug-ins.

A plug-in may change the object, which is fresh, or refuse it. Neighbours: `registry.writes` calls
the chain after defaults and before validation. It never writes to the store.
"""
