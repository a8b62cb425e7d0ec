//! A room's network and another one, with a router between them.
//!
//! ```text
//!  inside                    router                    outside
//!   room0 ──────────── inside0   outside0 ──────────── guest0
//! ```

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;

use crate::network_namespace::NetworkNamespace;
use crate::room_setup::Place;

/// The three of them. What the router does with what comes by is up to the test: nothing at first.
#[derive(Debug)]
pub struct RoutedNetworks {
    /// Where the room is. What is for others goes to the router.
    pub inside: Arc<NetworkNamespace>,
    /// With an interface to either side.
    pub router: NetworkNamespace,
    /// Where others are.
    pub outside: NetworkNamespace,
    room: Ipv4Addr,
}

impl RoutedNetworks {
    /// Lays them: `inside` are the addresses of the room and of the router, `outside` those of the router and of the
    /// others, each pair within a /24.
    ///
    /// # Errors
    /// When the kernel does not let this user make networks.
    pub fn lay(inside: [Ipv4Addr; 2], outside: [Ipv4Addr; 2]) -> Result<Self> {
        let network = NetworkNamespace::new()?;
        let (router, others) = (network.beside()?, network.beside()?);
        network.connect("room0", &router, "inside0")?;
        others.connect("guest0", &router, "outside0")?;
        let addresses = [
            (&network, inside[0], "room0"),
            (&router, inside[1], "inside0"),
            (&router, outside[0], "outside0"),
            (&others, outside[1], "guest0"),
        ];
        for (namespace, address, interface) in addresses {
            namespace.ip(&format!("address add {address}/24 dev {interface}"))?;
        }
        network.ip(&format!("route add default via {}", inside[1]))?;
        Ok(Self {
            inside: Arc::new(network),
            router,
            outside: others,
            room: inside[0],
        })
    }

    /// The place of a room in there, which takes these for its peers.
    #[must_use]
    pub fn place(&self, peers: &'static str) -> Place {
        Place {
            address: self.room.into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            peers,
            network: Some(Arc::clone(&self.inside)),
        }
    }
}
