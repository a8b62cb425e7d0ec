//! Notices when the addresses or routes of this machine change.
//!
//! The kernel tells by routing messages (rtnetlink(7)). What they say is not read: whoever wants to
//! know asks the routing table anew, which is right whatever was missed.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A new lease is an address taken away, another given, and some routes: they come as one.
const QUIET: Duration = Duration::from_millis(300);
/// Whatever goes on changing is told in between.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The groups of `<linux/rtnetlink.h>`: links, addresses and routes of IPv4 and IPv6.
const GROUPS: u32 = {
    const LINK: u32 = 0x1;
    const IPV4_ADDRESS: u32 = 0x10;
    const IPV4_ROUTE: u32 = 0x40;
    const IPV6_ADDRESS: u32 = 0x100;
    const IPV6_ROUTE: u32 = 0x400;
    LINK | IPV4_ADDRESS | IPV4_ROUTE | IPV6_ADDRESS | IPV6_ROUTE
};

/// The kernel's messages about addresses and routes.
#[derive(Debug)]
pub struct AddressWatch {
    /// A routing socket; nothing but receiving is done with it, which is the same for each kind.
    socket: UnixDatagram,
}

impl AddressWatch {
    /// Begins to listen to the kernel.
    ///
    /// # Errors
    /// Where the process may not, as under a seccomp filter.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // The protocol of none is NETLINK_ROUTE.
        let family = AddressFamily::NETLINK;
        let socket = socket_with(family, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        let socket = UnixDatagram::from_std(socket.into())?;
        Ok(Self { socket })
    }

    /// Counts each time that something has changed and then stood still for a moment. Ends with the
    /// receivers, or when the kernel says no more.
    pub async fn run(self, changes: watch::Sender<u64>) {
        loop {
            let told = tokio::select! {
                told = self.told() => told,
                () = changes.closed() => return,
            };
            if let Err(error) = told {
                tracing::warn!(%error, "changes of addresses are not noticed any more");
                return changes.closed().await;
            }
            let limit = Instant::now() + LONGEST_WAIT;
            while let Ok(Ok(())) = timeout_at(limit.min(Instant::now() + QUIET), self.told()).await
                && Instant::now() < limit
            {}
            changes.send_modify(|count| *count += 1);
        }
    }

    /// Waits for a message.
    async fn told(&self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        match self.socket.recv(&mut buffer).await {
            Ok(_) => Ok(()),
            // More than the socket holds: that some were lost is a change too.
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
