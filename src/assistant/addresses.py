"""Which addresses webhooks and tools may not reach: this host, its networks, its cloud's own.

Pure.
A list of our own, because what `ipaddress` calls global differs between versions of Python, and
because an IPv6 address may be an IPv4 address in another form.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# Source: the IANA special-purpose address registries (RFC 6890 and its updates).
_V4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: All that is routed in IPv6 is in here.
_V6_GLOBAL = ip_network("2000::/3")
_V6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments, among them Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_MAPPED = ip_network("::ffff:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")


def is_internal(address: str) -> bool:
    """Whether nothing public is there. What is not an address counts as internal."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(parsed, IPv4Address):
        return any(parsed in network for network in _V4)
    return _is_internal_v6(parsed)


def _is_internal_v6(address: IPv6Address) -> bool:
    if address in _MAPPED or address in _NAT64:
        return is_internal(str(IPv4Address(int(address) & 0xFFFF_FFFF)))
    # A gateway of ISATAP would deliver it to the IPv4 address in its last 32 bits.
    if (int(address) >> 32) & 0xFFFF_FFFF in {0x0000_5EFE, 0x0200_5EFE}:
        return True
    return address not in _V6_GLOBAL or any(address in network for network in _V6)
