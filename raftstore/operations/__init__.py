"""`pinnace store`: what an operator does to a store from outside: backup, restore, rescue, copy."""
