//! The room that the simulated camera looks at.
//!
//! ```text
//!  ┌ clock burnt in ───────────────────────────────────┐
//!  │  ┌─ window ─┐    ┌──── wall screen ────┐    (o)   │   what stands still is drawn once;
//!  │  │  clouds  │    │ ROOM NAME           │  wall    │   clouds, time, hands and people
//!  │  │          │    │ 00:12:34.5          │  clock   │   are drawn for each picture
//!  │  └──────────┘    │ ▂▅▇▃▁               │          │
//!  │       (person)   └─────────────────────┘ (person) │
//!  │ ═════════════════════ table ═════════════════════ │
//!  └───────────────────────────────────────────────────┘
//! ```

use std::f32::consts::TAU;
use std::time::Duration;

use super::canvas::{Area, BOARD_WIDTH, Canvas, Colour};
use super::font;
use crate::camera::PictureSize;

const WALL_TOP: Colour = Colour::rgb(222, 211, 196);
const WALL_BOTTOM: Colour = Colour::rgb(186, 170, 152);
const FRAME: Colour = Colour::rgb(246, 243, 238);
const SKY_TOP: Colour = Colour::rgb(96, 156, 214);
const SKY_BOTTOM: Colour = Colour::rgb(196, 222, 240);
const CLOUD: Colour = Colour::rgb(244, 248, 252);
const BEZEL: Colour = Colour::rgb(32, 34, 38);
const SCREEN: Colour = Colour::rgb(22, 44, 66);
const SCREEN_TEXT: Colour = Colour::rgb(236, 244, 250);
const SCREEN_ACCENT: Colour = Colour::rgb(86, 196, 180);
const TABLE_FAR: Colour = Colour::rgb(158, 112, 74);
const TABLE_NEAR: Colour = Colour::rgb(112, 76, 50);
const TABLE_EDGE: Colour = Colour::rgb(84, 56, 38);
const LEAF: Colour = Colour::rgb(70, 128, 78);
const POT: Colour = Colour::rgb(176, 98, 70);
const HAND: Colour = Colour::rgb(52, 52, 56);
const SECOND_HAND: Colour = Colour::rgb(200, 60, 48);

const WINDOW: Area = Area::new(70.0, 90.0, 290.0, 250.0);
const WALL_SCREEN: Area = Area::new(440.0, 80.0, 500.0, 280.0);
const TABLE: Area = Area::new(0.0, 560.0, BOARD_WIDTH, 160.0);
/// What people are seen of: everything above the table.
const ABOVE_TABLE: Area = Area::new(0.0, 0.0, BOARD_WIDTH, 560.0);
const WALL_CLOCK: (f32, f32) = (1110.0, 170.0);
const WALL_CLOCK_RADIUS: f32 = 72.0;

const NAME_DOT: f32 = 6.0;
const TIME_DOT: f32 = 7.0;
/// The longest name that fits onto the wall screen.
const NAME_CHARACTERS: usize = 12;

struct Person {
    x: f32,
    skin: Colour,
    hair: Colour,
    shirt: Colour,
    /// Seconds for one sway to and fro.
    sway: f32,
}

const PEOPLE: [Person; 2] = [
    Person {
        x: 390.0,
        skin: Colour::rgb(224, 178, 146),
        hair: Colour::rgb(60, 44, 36),
        shirt: Colour::rgb(64, 92, 140),
        sway: 7.0,
    },
    Person {
        x: 930.0,
        skin: Colour::rgb(168, 118, 86),
        hair: Colour::rgb(28, 24, 24),
        shirt: Colour::rgb(150, 66, 84),
        sway: 5.0,
    },
];

/// A scene of one size, with its still parts already drawn.
pub(super) struct Scene {
    size: PictureSize,
    background: Vec<u8>,
}

impl Scene {
    pub(super) fn new(size: PictureSize, room_name: &str) -> Self {
        let mut background = vec![0; size.i420_bytes()];
        draw_still(&mut Canvas::new(&mut background, size), room_name);
        Self { size, background }
    }

    pub(super) fn size(&self) -> PictureSize {
        self.size
    }

    /// The still parts, to be copied below the moving ones.
    pub(super) fn background(&self) -> &[u8] {
        &self.background
    }

    /// Draws the moving parts over a copy of the background.
    pub(super) fn draw_moving(&self, i420: &mut [u8], time: Duration) {
        let mut canvas = Canvas::new(i420, self.size);
        draw_clouds(&mut canvas, time);
        draw_time(&mut canvas, time);
        draw_bars(&mut canvas, time);
        draw_clock_hands(&mut canvas, time);
        for person in &PEOPLE {
            draw_person(&mut canvas, person, time);
        }
    }
}

/// How far a movement that repeats each `period` seconds has come, 0 to 1. Reduced in integers: a
/// float of a long uptime would jerk.
fn phase(time: Duration, period: f32) -> f32 {
    let period = (period * 1e6) as u128;
    (time.as_micros() % period) as f32 / period as f32
}

/// A swing from -1 to 1.
fn swing(time: Duration, period: f32) -> f32 {
    (phase(time, period) * TAU).sin()
}

fn draw_still(canvas: &mut Canvas<'_>, room_name: &str) {
    canvas.gradient(Area::BOARD, WALL_TOP, WALL_BOTTOM);
    canvas.rectangle(WINDOW, FRAME);
    draw_sky(canvas);
    draw_wall_screen(canvas, room_name);
    draw_clock_face(canvas);
    draw_plant(canvas);
    canvas.gradient(TABLE, TABLE_FAR, TABLE_NEAR);
    canvas.rectangle(
        Area {
            height: 6.0,
            ..TABLE
        },
        TABLE_EDGE,
    );
}

fn draw_sky(canvas: &mut Canvas<'_>) {
    canvas.gradient(WINDOW.shrunk(12.0), SKY_TOP, SKY_BOTTOM);
}

fn draw_wall_screen(canvas: &mut Canvas<'_>, room_name: &str) {
    canvas.rectangle(WALL_SCREEN, BEZEL);
    canvas.rectangle(WALL_SCREEN.shrunk(10.0), SCREEN);
    let name: String = room_name.chars().take(NAME_CHARACTERS).collect();
    let x = WALL_SCREEN.x + (WALL_SCREEN.width - font::width(&name, NAME_DOT)) / 2.0;
    font::draw(
        canvas,
        &name,
        x,
        WALL_SCREEN.y + 40.0,
        NAME_DOT,
        SCREEN_TEXT,
    );
}

fn draw_clock_face(canvas: &mut Canvas<'_>) {
    let (x, y) = WALL_CLOCK;
    canvas.ellipse(x, y, (WALL_CLOCK_RADIUS, WALL_CLOCK_RADIUS), BEZEL);
    canvas.ellipse(
        x,
        y,
        (WALL_CLOCK_RADIUS - 7.0, WALL_CLOCK_RADIUS - 7.0),
        FRAME,
    );
    for hour in 0..12 {
        let (from, to) = (
            on_clock(hour as f32 / 12.0, 54.0),
            on_clock(hour as f32 / 12.0, 60.0),
        );
        canvas.line(from, to, 4.0, HAND);
    }
}

fn draw_plant(canvas: &mut Canvas<'_>) {
    for (x, y, width, height) in [
        (1180.0, 420.0, 20.0, 80.0),
        (1210.0, 440.0, 24.0, 66.0),
        (1150.0, 446.0, 24.0, 60.0),
    ] {
        canvas.ellipse(x, y, (width, height), LEAF);
    }
    canvas.rectangle(Area::new(1145.0, 490.0, 70.0, 76.0), POT);
}

fn draw_clouds(canvas: &mut Canvas<'_>, time: Duration) {
    let pane = WINDOW.shrunk(12.0);
    canvas.clip_to(pane);
    for (period, y, size) in [(41.0, 40.0, 30.0), (67.0, 100.0, 42.0)] {
        let travel = pane.width + 6.0 * size;
        let x = pane.x - 3.0 * size + phase(time, period) * travel;
        for (offset, part) in [(-1.2, 0.6), (0.0, 1.0), (1.3, 0.7)] {
            let half = (size * 1.3 * part, size * 0.6 * part);
            canvas.ellipse(x + offset * size, pane.y + y, half, CLOUD);
        }
    }
    canvas.clip_to(Area::BOARD);
    // The bars of the window stand before the clouds.
    let (middle_x, middle_y) = (
        WINDOW.x + WINDOW.width / 2.0,
        WINDOW.y + WINDOW.height / 2.0,
    );
    canvas.rectangle(
        Area::new(middle_x - 4.0, WINDOW.y, 8.0, WINDOW.height),
        FRAME,
    );
    canvas.rectangle(
        Area::new(WINDOW.x, middle_y - 4.0, WINDOW.width, 8.0),
        FRAME,
    );
}

fn draw_time(canvas: &mut Canvas<'_>, time: Duration) {
    let seconds = time.as_secs();
    let text = format!(
        "{:02}:{:02}:{:02}.{}",
        seconds / 3600 % 100,
        seconds / 60 % 60,
        seconds % 60,
        time.subsec_millis() / 100
    );
    let x = WALL_SCREEN.x + (WALL_SCREEN.width - font::width(&text, TIME_DOT)) / 2.0;
    font::draw(
        canvas,
        &text,
        x,
        WALL_SCREEN.y + 120.0,
        TIME_DOT,
        SCREEN_ACCENT,
    );
}

fn draw_bars(canvas: &mut Canvas<'_>, time: Duration) {
    let floor = WALL_SCREEN.y + WALL_SCREEN.height - 24.0;
    for (i, period) in [1.1, 1.7, 1.3, 2.3, 1.9, 0.9, 1.5, 2.1]
        .into_iter()
        .enumerate()
    {
        let height = 26.0 + 22.0 * swing(time, period);
        let x = WALL_SCREEN.x + 60.0 + 50.0 * i as f32;
        canvas.rectangle(Area::new(x, floor - height, 30.0, height), SCREEN_ACCENT);
    }
}

fn draw_clock_hands(canvas: &mut Canvas<'_>, time: Duration) {
    let hands = [
        (43_200.0, 34.0, 7.0, HAND),
        (3_600.0, 50.0, 5.0, HAND),
        (60.0, 56.0, 3.0, SECOND_HAND),
    ];
    for (period, length, width, colour) in hands {
        canvas.line(
            WALL_CLOCK,
            on_clock(phase(time, period), length),
            width,
            colour,
        );
    }
}

/// A place on the wall clock, `turn` (0 to 1) clockwise from 12 o'clock.
fn on_clock(turn: f32, radius: f32) -> (f32, f32) {
    let angle = turn * TAU;
    (
        WALL_CLOCK.0 + radius * angle.sin(),
        WALL_CLOCK.1 - radius * angle.cos(),
    )
}

fn draw_person(canvas: &mut Canvas<'_>, person: &Person, time: Duration) {
    canvas.clip_to(ABOVE_TABLE);
    let lean = 16.0 * swing(time, person.sway);
    let nod = 5.0 * swing(time, person.sway / 3.0);
    let head = (person.x + lean, 372.0 + nod);
    canvas.ellipse(person.x + lean * 0.5, 560.0, (118.0, 118.0), person.shirt);
    canvas.rectangle(
        Area::new(head.0 - 20.0, head.1 + 40.0, 40.0, 50.0),
        person.skin,
    );
    canvas.ellipse(head.0, head.1 - 14.0, (58.0, 64.0), person.hair);
    canvas.ellipse(head.0, head.1 + 6.0, (50.0, 60.0), person.skin);
    draw_face(canvas, head, time, person.sway);
    draw_arm(canvas, person, lean, time);
    canvas.clip_to(Area::BOARD);
}

fn draw_face(canvas: &mut Canvas<'_>, head: (f32, f32), time: Duration, sway: f32) {
    // Eyes close for a moment in each blink.
    let open = if phase(time, sway * 0.6) < 0.05 {
        1.5
    } else {
        5.0
    };
    for side in [-18.0, 18.0] {
        canvas.ellipse(head.0 + side, head.1, (5.0, open), HAND);
    }
    let speaking = 5.0 + 4.0 * swing(time, 0.37) * swing(time, sway * 1.7);
    canvas.ellipse(head.0, head.1 + 34.0, (14.0, speaking), SECOND_HAND);
}

fn draw_arm(canvas: &mut Canvas<'_>, person: &Person, lean: f32, time: Duration) {
    let raised = swing(time, person.sway * 1.4).max(0.0);
    let wave = 14.0 * swing(time, 0.9) * raised;
    let shoulder = (person.x + lean * 0.5 + 96.0, 510.0);
    let hand = (person.x + 140.0 + wave, 570.0 - 120.0 * raised);
    canvas.line(shoulder, hand, 34.0, person.shirt);
    canvas.ellipse(hand.0, hand.1, (20.0, 20.0), person.skin);
}
