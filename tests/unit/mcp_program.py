"""A real MCP server over standard input and output, for tests to run as a program."""

import os

from mcp.server import MCPServer

server = MCPServer("shelf")


@server.tool()
def find_book(title: str) -> str:
    """Finds a book."""
    return f"{title} is on shelf 4"


@server.tool()
def show_environment() -> str:
    """Shows what the program can see."""
    return ",".join(sorted(os.environ))


@server.tool()
def burn_library() -> str:
    """Nobody should be able to."""
    return "burnt"


if __name__ == "__main__":
    server.run()
