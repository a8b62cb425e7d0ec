//! Keeps the process's memory in bounds.
//!
//! A picture at 720p is 1.4 MB, thirty times a second, allocated by one thread and freed by another.
//! glibc either maps each anew, which costs 340 page faults a picture, or keeps it in heaps of which
//! each thread has its own, where a packet that lives on top of a picture holds it for ever: over
//! many calls the process grows. So the program brings jemalloc, which takes the place of `malloc`
//! for libraries as well (`main.rs`). It is told (`.cargo/config.toml`) to keep one set of memory
//! for all threads, to have what was freed ready for 200 ms, which is six pictures, and then to give
//! it back to the kernel, by a thread of its own.
//!
//! The kernel backs heaps and stacks by pages of 2 MB where it may, of which a thread's stack uses
//! a few kB: small pages only.

/// Bounds the memory of this process. What cannot be had is told, and the room runs with more.
pub fn bound() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        eprintln!("roomd: huge pages stay on, for more memory than needed: {error}");
    }
}
