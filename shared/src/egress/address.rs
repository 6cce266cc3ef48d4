//! Which IP addresses are public (IANA special-purpose address registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that are not global unicast, with their prefix lengths.
const DENIED_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The first segments and the prefix length; applied only to addresses in [`GLOBAL_V6`].
const DENIED_V6: [([u16; 2], u32); 4] = [
    // Teredo, benchmarking, ORCHID and the other protocol assignments
    ([0x2001, 0], 23),
    // documentation
    ([0x2001, 0xdb8], 32),
    // 6to4 leads to the IPv4 address inside
    ([0x2002, 0], 16),
    // documentation
    ([0x3fff, 0], 20),
];
/// `2000::/3`, the only space from which global unicast addresses are assigned.
const GLOBAL_V6: ([u16; 2], u32) = ([0x2000, 0], 3);
/// `64:ff9b::/96`: a translator forwards to the IPv4 address in the last 32 bits.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Whether a partner's endpoint may have this address.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let inside = |(network, length): &([u8; 4], u32)| {
        (u32::from_be_bytes(*network) ^ address.to_bits()) >> (32 - length) == 0
    };
    !DENIED_V4.iter().any(inside)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if segments[..6] == NAT64 {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let high = u32::from(segments[0]) << 16 | u32::from(segments[1]);
    let inside = |([first, second], length): &([u16; 2], u32)| {
        ((u32::from(*first) << 16 | u32::from(*second)) ^ high) >> (32 - length) == 0
    };
    inside(&GLOBAL_V6) && !DENIED_V6.iter().any(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    /// Networks with prefix lengths, as the IANA registries list them.
    const NETWORKS: [&str; 26] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/8",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];

    #[test]
    fn addresses_in_special_networks_are_not_public() {
        for network in NETWORKS {
            let network: ipnet::IpNet = network.parse().unwrap();
            for address in [network.network(), network.broadcast()] {
                assert!(!is_public(address), "{address} of {network}");
            }
        }
    }

    #[test]
    fn addresses_next_to_special_networks_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.88.98.255",
            "192.88.100.1",
            "223.255.255.255",
            "2001:200::1",
            "64:ff9b::5db8:d822",
            "2606:4700::1111",
            "3fff:1000::1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn an_address_that_embeds_an_ipv4_address_is_classified_by_it() {
        assert!(public("::ffff:93.184.216.34"));
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::5db8:d822",
            "2002:7f00:1::",
            "2001:0:5db8:d822::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}
