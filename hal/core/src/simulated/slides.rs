//! A source of slides: a small deck whose pages turn by themselves.
//!
//! ```text
//!  ┌ clock burnt in ───────────────────────────────────┐
//!  │█ TITLE ██████████████████████████████████████████ │  border and title bar have another
//!  │  o  a line of text                                │  colour on each page
//!  │  o  a line of text                                │
//!  │  ROOM NAME                                  2 / 5 │
//!  └───────────────────────────────────────────────────┘
//! ```
//!
//! A page stands still for five seconds, as slides do; only the burnt-in clock goes on.

use std::time::{Duration, Instant};

use super::Condition;
use super::canvas::{Area, BOARD_HEIGHT, BOARD_WIDTH, Canvas, Colour, check_size};
use super::font;
use super::picture_pool::PicturePool;
use super::shared::Shared;
use crate::burnt_clock::{self, BurntClock};
use crate::camera::{Camera, PictureSize, VideoFrame};
use crate::error::{DeviceError, DeviceKind};

/// How long a page is shown.
const PAGE_TIME: Duration = Duration::from_secs(5);

const PAPER: Colour = Colour::rgb(250, 250, 246);
const INK: Colour = Colour::rgb(28, 32, 40);
const TITLE_INK: Colour = Colour::rgb(255, 255, 255);

const BORDER: f32 = 28.0;
const TITLE_BAR: Area = Area::new(0.0, BORDER, BOARD_WIDTH, 128.0);
const LEFT: f32 = 90.0;
const TITLE_DOT: f32 = 8.0;
const TEXT_DOT: f32 = 5.0;
const FIRST_LINE: f32 = 220.0;
const LINE_HEIGHT: f32 = 90.0;
const FOOT: f32 = BOARD_HEIGHT - 90.0;
const FOOT_DOT: f32 = 4.0;
/// The longest name that fits beside the number of the page.
const NAME_CHARACTERS: usize = 32;

struct Page {
    title: &'static str,
    lines: &'static [&'static str],
    colour: Colour,
}

const PAGES: [Page; 5] = [
    Page {
        title: "Agenda",
        lines: &[
            "Where we stand",
            "What comes next",
            "Who does what",
            "Questions",
        ],
        colour: Colour::rgb(30, 84, 150),
    },
    Page {
        title: "Where we stand",
        lines: &[
            "Calls go in and out, encrypted",
            "People are seen and heard in step",
            "Slides are a picture of their own",
        ],
        colour: Colour::rgb(24, 112, 76),
    },
    Page {
        title: "What comes next",
        lines: &[
            "Week 1: measure",
            "Week 2: decide",
            "Week 3: build (4 days)",
        ],
        colour: Colour::rgb(158, 72, 20),
    },
    Page {
        title: "Who does what",
        lines: &[
            "Ann: cameras, 2 rooms",
            "Bo: microphones, 6 tables",
            "Chen: network, 100 Mbit/s",
        ],
        colour: Colour::rgb(112, 44, 128),
    },
    Page {
        title: "Questions",
        lines: &[
            "0 1 2 3 4 5 6 7 8 9",
            "A B C D E F G H I J K L M",
            "N O P Q R S T U V W X Y Z",
        ],
        colour: Colour::rgb(150, 32, 52),
    },
];

/// What a simulated source of slides delivers.
#[derive(Clone, Debug)]
pub struct SlidesSettings {
    /// Any size that a simulated camera may have.
    pub size: PictureSize,
    /// The time from one picture to the next.
    pub frame_interval: Duration,
    /// Shown at the foot of each page: its first 32 characters.
    pub room_name: String,
    /// Turns the pages, and is burnt into each picture.
    pub clock: BurntClock,
}

/// A deck of slides. See the module's documentation.
#[derive(Clone)]
pub struct SimulatedSlides {
    size: PictureSize,
    frame_interval: Duration,
    state: Shared<SlidesState>,
}

struct SlidesState {
    size: PictureSize,
    room_name: String,
    clock: BurntClock,
    /// The page that was drawn last.
    drawn: Option<usize>,
    /// Its picture, without the clock.
    still: Vec<u8>,
    pool: PicturePool,
    condition: Condition,
}

impl SimulatedSlides {
    /// A working source of slides.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`].
    pub fn new(settings: SlidesSettings) -> Result<Self, DeviceError> {
        let SlidesSettings {
            size,
            frame_interval,
            room_name,
            clock,
        } = settings;
        check_size(size, DeviceKind::Slides)?;
        Ok(Self {
            size,
            frame_interval,
            state: Shared::new(SlidesState {
                size,
                room_name: room_name.chars().take(NAME_CHARACTERS).collect(),
                clock,
                drawn: None,
                still: vec![0; size.i420_bytes()],
                pool: PicturePool::default(),
                condition: Condition::Working,
            }),
        })
    }

    /// Unplugs the source, makes it stall, or lets it work again.
    pub fn set_condition(&self, condition: Condition) {
        self.state.lock().condition = condition;
    }
}

impl SlidesState {
    fn frame(&mut self, now: Instant) -> Result<VideoFrame, DeviceError> {
        self.condition.check(DeviceKind::Slides)?;
        let page = page_at(self.clock.elapsed(now));
        if self.drawn != Some(page) {
            draw_page(
                &mut Canvas::new(&mut self.still, self.size),
                page,
                &self.room_name,
            );
            self.drawn = Some(page);
        }
        let mut picture = self.pool.copy_of(&self.still);
        let luma = &mut picture[..self.size.luma_bytes()];
        let burnt = burnt_clock::write(luma, self.size.width, self.clock.stamp(now));
        debug_assert!(burnt, "check_size leaves room for the clock");
        let i420 = picture.freeze();
        self.pool.keep_for_reuse(&i420);
        Ok(VideoFrame {
            captured: now,
            size: self.size,
            i420,
        })
    }
}

impl Camera for SimulatedSlides {
    fn size(&self) -> PictureSize {
        self.size
    }

    fn frame_interval(&self) -> Duration {
        self.frame_interval
    }

    fn frame(&mut self, now: Instant) -> Result<VideoFrame, DeviceError> {
        self.state.lock().frame(now)
    }
}

/// Which page is shown; after the last one comes the first.
fn page_at(time: Duration) -> usize {
    (time.as_millis() / PAGE_TIME.as_millis()) as usize % PAGES.len()
}

fn draw_page(canvas: &mut Canvas<'_>, number: usize, room_name: &str) {
    let page = &PAGES[number];
    canvas.rectangle(Area::BOARD, page.colour);
    canvas.rectangle(Area::BOARD.shrunk(BORDER), PAPER);
    canvas.rectangle(TITLE_BAR, page.colour);
    let title_top = TITLE_BAR.y + (TITLE_BAR.height - font::height(TITLE_DOT)) / 2.0;
    font::draw(canvas, page.title, LEFT, title_top, TITLE_DOT, TITLE_INK);
    for (i, line) in page.lines.iter().enumerate() {
        let top = FIRST_LINE + i as f32 * LINE_HEIGHT;
        let middle = top + font::height(TEXT_DOT) / 2.0;
        canvas.ellipse(LEFT + 12.0, middle, (12.0, 12.0), page.colour);
        font::draw(canvas, line, LEFT + 50.0, top, TEXT_DOT, INK);
    }
    font::draw(canvas, room_name, LEFT, FOOT, FOOT_DOT, INK);
    let place = format!("{} / {}", number + 1, PAGES.len());
    let right = BOARD_WIDTH - LEFT - font::width(&place, FOOT_DOT);
    font::draw(canvas, &place, right, FOOT, FOOT_DOT, INK);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SMALL: PictureSize = PictureSize {
        width: 640,
        height: 360,
    };

    fn slides(size: PictureSize, zero: Instant) -> SimulatedSlides {
        SimulatedSlides::new(SlidesSettings {
            size,
            frame_interval: Duration::from_millis(100),
            room_name: "Board room".to_owned(),
            clock: BurntClock::new(zero),
        })
        .unwrap()
    }

    /// The picture below the clock.
    fn still(frame: &VideoFrame) -> &[u8] {
        &frame.i420[frame.size.width * burnt_clock::BLOCK..]
    }

    /// The lowest and the highest luma of an area of a picture.
    fn lumas(frame: &VideoFrame, area: Area) -> (u8, u8) {
        let across = frame.size.width as f32 / BOARD_WIDTH;
        let down = frame.size.height as f32 / BOARD_HEIGHT;
        let columns = (area.x * across) as usize..((area.x + area.width) * across) as usize;
        let rows = (area.y * down) as usize..((area.y + area.height) * down) as usize;
        let pixels = rows.flat_map(|row| {
            let start = row * frame.size.width;
            frame.i420[start + columns.start..start + columns.end].iter()
        });
        let (low, high) = pixels.fold((u8::MAX, 0), |(low, high), &luma| {
            (luma.min(low), luma.max(high))
        });
        (low, high)
    }

    #[test]
    fn a_page_stands_still_for_five_seconds_and_then_another_comes() {
        let zero = Instant::now();
        let mut slides = slides(SMALL, zero);
        let at = |slides: &mut SimulatedSlides, milliseconds| {
            let frame = slides.frame(zero + Duration::from_millis(milliseconds));
            still(&frame.unwrap()).to_vec()
        };
        let first = at(&mut slides, 0);
        assert!(at(&mut slides, 4_999) == first);
        let pages: HashSet<Vec<u8>> = (0..PAGES.len() as u64)
            .map(|page| at(&mut slides, page * 5_000))
            .collect();
        assert_eq!(pages.len(), PAGES.len());
        assert!(at(&mut slides, PAGES.len() as u64 * 5_000) == first);
    }

    #[test]
    fn the_same_moment_gives_the_same_picture() {
        let zero = Instant::now();
        let now = zero + Duration::from_millis(12_345);
        let mut one = slides(SMALL, zero);
        one.frame(zero).unwrap();
        let seen = one.frame(now).unwrap().i420;
        assert!(slides(SMALL, zero).frame(now).unwrap().i420 == seen);
    }

    #[test]
    fn each_picture_carries_the_moment_at_which_it_was_taken() {
        let zero = Instant::now();
        let mut slides = slides(PictureSize::HD720, zero);
        for milliseconds in [0, 100, 4_999, 86_400_000] {
            let now = zero + Duration::from_millis(milliseconds);
            let frame = slides.frame(now).unwrap();
            assert_eq!(frame.i420.len(), PictureSize::HD720.i420_bytes());
            let stamp = burnt_clock::read(&frame.i420, PictureSize::HD720.width).unwrap();
            assert_eq!(BurntClock::new(zero).age(stamp, now), Duration::ZERO);
        }
    }

    #[test]
    fn text_stands_out_from_what_it_is_written_on() {
        for page in &PAGES {
            let contrast = TITLE_INK.luma().abs_diff(page.colour.luma());
            assert!(contrast > 110, "{}: {contrast}", page.title);
        }
        let zero = Instant::now();
        for size in [PictureSize::HD720, SMALL] {
            let mut slides = slides(size, zero);
            for page in 0..PAGES.len() as u32 {
                let frame = slides.frame(zero + PAGE_TIME * page).unwrap();
                let line = |top, dot| Area::new(LEFT + 50.0, top, 500.0, font::height(dot));
                for area in [
                    line(FIRST_LINE, TEXT_DOT),
                    line(FIRST_LINE + LINE_HEIGHT, TEXT_DOT),
                    Area::new(LEFT, FOOT, 200.0, font::height(FOOT_DOT)),
                    Area::new(BOARD_WIDTH - LEFT - 60.0, FOOT, 60.0, 28.0),
                ] {
                    let (low, high) = lumas(&frame, area);
                    assert!(high - low > 150, "{size} page {page}: {low} to {high}");
                }
            }
        }
    }

    #[test]
    fn every_text_fits_onto_its_page() {
        let inside = BOARD_WIDTH - BORDER - LEFT;
        for page in &PAGES {
            assert!(
                font::width(page.title, TITLE_DOT) < inside,
                "{}",
                page.title
            );
            for line in page.lines {
                assert!(font::width(line, TEXT_DOT) < inside - 50.0, "{line}");
            }
            let last = FIRST_LINE + page.lines.len() as f32 * LINE_HEIGHT;
            assert!(last < FOOT, "{}", page.title);
        }
    }

    #[test]
    fn an_unplugged_source_is_back_as_soon_as_it_is_plugged_in() {
        let zero = Instant::now();
        let mut slides = slides(SMALL, zero);
        let simulator = slides.clone();
        simulator.set_condition(Condition::Unplugged);
        let gone = DeviceError::Gone(DeviceKind::Slides);
        assert_eq!(slides.frame(zero).unwrap_err(), gone);
        simulator.set_condition(Condition::Working);
        assert!(slides.frame(zero).is_ok());
    }

    #[test]
    fn a_size_that_cannot_be_drawn_is_refused_in_the_name_of_the_slides() {
        let size = PictureSize {
            width: 320,
            height: 180,
        };
        let result = SimulatedSlides::new(SlidesSettings {
            size,
            frame_interval: Duration::from_millis(100),
            room_name: String::new(),
            clock: BurntClock::new(Instant::now()),
        });
        let error = result.err().unwrap().to_string();
        assert!(error.starts_with("the source of slides cannot deliver 320x180"));
    }
}
