//! A leg and a browser over a seeded network, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod browser;
mod world;

use std::time::Duration;

use room::media_plan::Medium;
use webrtc::Event;
use world::World;

#[test]
fn media_flows_both_ways_and_every_byte_arrives() {
    let mut world = World::new(1);
    world.connect();
    assert!(world.saw(&Event::Connected));
    world.media = true;
    world.run_for(Duration::from_secs(3));
    world.media = false;
    world.run_for(Duration::from_millis(500));
    for medium in [Medium::Audio, Medium::Video] {
        let all = |count: u32| (0..count).collect::<Vec<_>>();
        assert!(world.sent_by_leg(medium) >= 150);
        assert_eq!(
            world.received_by_browser(medium),
            all(world.sent_by_leg(medium))
        );
        assert_eq!(
            world.received_by_media(medium),
            all(world.sent_by_browser(medium))
        );
    }
}
