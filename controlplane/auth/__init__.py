"""Who a caller is and what they may do.

Authentication turns a request into a `User`; the authorizer answers whether that user may. Both
doors (REST, gRPC) and the controllers inside the process pass through here. Nothing in this
package reads or writes the store: objects are handed to it, decisions are handed back.
"""
