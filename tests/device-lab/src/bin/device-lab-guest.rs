//! The first process of the device lab's kernel.

fn main() -> anyhow::Result<()> {
    device_lab::guest::main()
}
