//! A network of its own for a program: addresses and routes that a test may change, which nobody else
//! on this machine sees (network_namespaces(7)).
//!
//! Root makes them as they are; anybody else within a user namespace, where the kernel allows that.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child_process::{ChildProcess, run};

const START_LIMIT: Duration = Duration::from_secs(10);
/// Stays for as long as its standard input is open, so that nothing outlives a test that was killed.
const KEEPER: &str = "echo ready; exec cat";

/// A network namespace. Vanishes with this value and the programs in it.
#[derive(Debug)]
pub struct NetworkNamespace {
    // The input is closed before the process is waited for: fields are dropped in this order.
    _input: ChildStdin,
    keeper: ChildProcess,
    owner: Owner,
    names: Names,
}

/// A connection with a port in a namespace. Ends with this value.
#[derive(Debug)]
pub struct Relay {
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    child: Child,
}

impl Relay {
    /// What comes from the port. It is there once.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }
}

impl Write for Relay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Its end follows from that of its input.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Whose namespace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Root,
    /// A user namespace in which the user of the test is root.
    UserNamespace,
}

/// What programs in a namespace read as `/etc/hosts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    OfMachine,
    /// A file of the test (mount_namespaces(7)).
    Own,
}

impl NetworkNamespace {
    /// A namespace with nothing but a loopback interface.
    ///
    /// # Errors
    /// When the kernel does not let this user make one.
    pub fn new() -> Result<Self> {
        Self::with_hosts(None)
    }

    /// As [`NetworkNamespace::new`]; programs in it read `hosts` as `/etc/hosts`.
    ///
    /// # Errors
    /// When the kernel does not let this user make one.
    pub fn with_hosts(hosts: Option<&Path>) -> Result<Self> {
        let mut unshare = Command::new("unshare");
        let owner = if rustix::process::geteuid().is_root() {
            Owner::Root
        } else {
            unshare.args(["--user", "--map-root-user"]);
            Owner::UserNamespace
        };
        Self::keep(owner, unshare.arg("--net"), hosts)
    }

    /// Another one, which can be connected with this one.
    ///
    /// # Errors
    /// As [`NetworkNamespace::new`].
    pub fn beside(&self) -> Result<Self> {
        let mut unshare = self.command("unshare");
        Self::keep(self.owner, unshare.arg("--net"), None)
    }

    fn keep(owner: Owner, unshare: &mut Command, hosts: Option<&Path>) -> Result<Self> {
        match hosts {
            None => unshare.args(["sh", "-c", KEEPER]),
            Some(hosts) => {
                let keeper = format!("mount --bind \"$0\" /etc/hosts && {KEEPER}");
                unshare.args(["--mount", "sh", "-c", &keeper]).arg(hosts)
            }
        };
        let (keeper, input) = ChildProcess::start_with_input("network namespace", unshare)?;
        keeper
            .lines()
            .wait_for("a network namespace", START_LIMIT, |line| {
                (line == "ready").then_some(())
            })
            .context("this user cannot make network namespaces")?;
        let namespace = Self {
            _input: input,
            keeper,
            owner,
            names: match hosts {
                None => Names::OfMachine,
                Some(_) => Names::Own,
            },
        };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The file by which a program enters it (setns(2)), for as long as this value lives.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.keeper.id()))
    }

    /// The words before a command line that is to run in here.
    #[must_use]
    pub fn prefix(&self) -> Vec<OsString> {
        let id = self.keeper.id();
        let mut words = vec!["nsenter".to_owned(), format!("--net=/proc/{id}/ns/net")];
        match self.names {
            Names::OfMachine => {}
            Names::Own => words.push(format!("--mount=/proc/{id}/ns/mnt")),
        }
        match self.owner {
            Owner::Root => {}
            Owner::UserNamespace => words.extend([
                format!("--user=/proc/{id}/ns/user"),
                "--preserve-credentials".to_owned(),
            ]),
        }
        words.into_iter().map(OsString::from).collect()
    }

    /// A program that is to run in here.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut words = self.prefix().into_iter();
        let mut command = Command::new(words.next().expect("it begins with a program"));
        command.args(words).arg(program);
        command
    }

    /// Connects with a TCP port of 127.0.0.1 in here. Who is not root cannot enter with a socket of its
    /// own, so that bash carries the bytes.
    ///
    /// # Errors
    /// When there is no bash. A port that is closed shows as the end of what comes.
    pub fn connect_to(&self, port: u16) -> Result<Relay> {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & cat >&3; kill $!");
        let mut child = self
            .command("bash")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start bash")?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        Ok(Relay {
            input: Some(input),
            output: Some(output),
            child,
        })
    }

    /// Runs ip(8) in here with these words.
    ///
    /// # Errors
    /// When it fails.
    pub fn ip(&self, words: &str) -> Result<()> {
        run(self.command("ip").args(words.split(' '))).with_context(|| format!("ip {words}"))
    }

    /// Passes on from now on what is for others.
    ///
    /// # Errors
    /// When the kernel does not let this user say so.
    pub fn forward(&self) -> Result<()> {
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        run(self.command("sh").args(["-c", forward])).context("nothing is forwarded")
    }

    /// Makes a NAT of it: what others send through here leaves by that interface from its address, at a
    /// port of the kernel's choice (nft(8)).
    ///
    /// # Errors
    /// When nft is missing, or the kernel translates nothing.
    pub fn translate(&self, interface: &str) -> Result<()> {
        self.forward()?;
        for words in [
            "add table ip nat",
            "add chain ip nat leaving { type nat hook postrouting priority 100 ; }",
            &format!("add rule ip nat leaving oifname {interface} masquerade random"),
        ] {
            run(self.command("nft").args(words.split(' ')))
                .with_context(|| format!("nft {words}"))?;
        }
        Ok(())
    }

    /// Makes a router of it that forwards ports: what comes in by the interface `outside` with one of these protocols
    /// (`tcp`, `udp`) goes to that machine. What the machine begins itself by UDP, by the interface `inside`, goes
    /// nowhere (nft(8)).
    ///
    /// # Errors
    /// When nft is missing, or the kernel translates nothing.
    pub fn forward_ports(
        &self,
        outside: &str,
        inside: &str,
        machine: Ipv4Addr,
        protocols: &[&str],
    ) -> Result<()> {
        self.forward()?;
        let mut rules = vec![
            "add table ip nat".to_owned(),
            "add chain ip nat coming { type nat hook prerouting priority -100 ; }".to_owned(),
            "add table ip passing".to_owned(),
            "add chain ip passing by { type filter hook forward priority 0 ; }".to_owned(),
            format!("add rule ip passing by iifname {inside} meta l4proto udp ct state new drop"),
        ];
        rules.extend(protocols.iter().map(|protocol| {
            format!(
                "add rule ip nat coming iifname {outside} meta l4proto {protocol} dnat to {machine}"
            )
        }));
        for words in rules {
            run(self.command("nft").args(words.split(' ')))
                .with_context(|| format!("nft {words}"))?;
        }
        Ok(())
    }

    /// Passes on from now on what is for others, but nothing by UDP, and of what comes by that interface no connection
    /// but to this port (nft(8)).
    ///
    /// # Errors
    /// When nft is missing, or the kernel filters nothing.
    pub fn let_in(&self, interface: &str, port: u16) -> Result<()> {
        self.forward()?;
        for words in [
            "add table ip passing",
            "add chain ip passing by { type filter hook forward priority 0 ; }",
            "add rule ip passing by meta l4proto udp drop",
            &format!(
                "add rule ip passing by iifname {interface} tcp dport != {port} ct state new drop"
            ),
        ] {
            run(self.command("nft").args(words.split(' ')))
                .with_context(|| format!("nft {words}"))?;
        }
        Ok(())
    }

    /// Breaks all TCP connections of here that are from that address, as if the network had (ss(8)).
    ///
    /// # Errors
    /// When ss is missing.
    pub fn break_connections(&self, address: Ipv4Addr) -> Result<()> {
        let mut kill = self.command("ss");
        run(kill.args(["--tcp", "--kill", "src", &address.to_string()]))
    }

    /// Lets an interface of here send no more than so many kilobits a second from now on. What is above waits in a
    /// queue of 300 ms, and is lost behind it.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn limit(&self, interface: &str, kbps: u32) -> Result<()> {
        self.traffic_control(&format!(
            "qdisc replace dev {interface} root tbf rate {kbps}kbit latency 300ms burst 5kb"
        ))
    }

    /// Lets an interface of here send as much as it can again.
    ///
    /// # Errors
    /// When it was not limited.
    pub fn unlimit(&self, interface: &str) -> Result<()> {
        self.traffic_control(&format!("qdisc del dev {interface} root"))
    }

    /// Runs tc(8) in here with these words.
    fn traffic_control(&self, words: &str) -> Result<()> {
        run(self.command("tc").args(words.split(' '))).with_context(|| format!("tc {words}"))
    }

    /// Lays a cable between an interface `own` in here and `others` in the other one.
    ///
    /// # Errors
    /// When there is an interface of that name.
    pub fn connect(&self, own: &str, other: &Self, others: &str) -> Result<()> {
        let id = other.keeper.id();
        self.ip(&format!(
            "link add {own} type veth peer name {others} netns {id}"
        ))?;
        self.ip(&format!("link set {own} up"))?;
        other.ip(&format!("link set {others} up"))
    }
}
