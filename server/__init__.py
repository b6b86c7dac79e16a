"""Which adapter answers this request? Registry, routes, engines, gRPC services, commands."""
