"""A real MCP server over standard input and output, for tests to run as a program."""

import os

from mcp.server import MCPServer

server = MCPServer("shelf")
burnt: list[str] = []


@server.tool()
def find_book(title: str) -> str:
    """Finds a book."""
    return f"{title} is on shelf 4"


@server.tool()
def show_environment() -> str:
    """Shows what the program can see."""
    return ",".join(sorted(os.environ))


@server.tool()
def flood() -> str:
    """Gives back more than anybody reads."""
    return "x" * 2_000_000


@server.tool()
def burn_library() -> str:
    """Nobody should be able to."""
    burnt.append("all")
    return "burnt"


if __name__ == "__main__":
    server.run()
