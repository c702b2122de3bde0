"""The routes: each reads its request, calls a use case, and shapes the answer."""
