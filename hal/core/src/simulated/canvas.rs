//! Draws plain shapes into an I420 picture.
//!
//! Shapes are given on a board of 1280x720 units, whatever the size of the picture. Everything is
//! made of horizontal spans, so that a shape costs little more than the memory that it covers.

use std::ops::Range;

use crate::burnt_clock;
use crate::camera::PictureSize;
use crate::error::{DeviceError, DeviceKind};

/// Units of the board that every shape is given in.
pub(super) const BOARD_WIDTH: f32 = 1280.0;
pub(super) const BOARD_HEIGHT: f32 = 720.0;

const LARGEST_SIDE: usize = 4096;

/// Whether pictures of this size can be drawn, with a burnt-in clock.
pub(super) fn check_size(size: PictureSize, device: DeviceKind) -> Result<(), DeviceError> {
    let unsupported = |reason| Err(DeviceError::UnsupportedSize(device, size, reason));
    if !size.width.is_multiple_of(8) || !size.height.is_multiple_of(2) {
        unsupported("the width must be a multiple of 8 and the height even")
    } else if size.width < burnt_clock::WIDTH || size.height < 64 {
        unsupported("the smallest picture is 640x64")
    } else if size.width > LARGEST_SIDE || size.height > LARGEST_SIDE {
        unsupported("the largest picture is 4096x4096")
    } else {
        Ok(())
    }
}

/// A colour in limited-range Y'CbCr (BT.601).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    luma: u8,
    blue: u8,
    red: u8,
}

impl Colour {
    /// A colour by its red, green and blue, 0 to 255 each.
    pub(super) const fn rgb(red: i32, green: i32, blue: i32) -> Self {
        Self {
            luma: (16 + (66 * red + 129 * green + 25 * blue + 128) / 256) as u8,
            blue: (128 + (-38 * red - 74 * green + 112 * blue) / 256) as u8,
            red: (128 + (112 * red - 94 * green - 18 * blue) / 256) as u8,
        }
    }

    /// The colour `share` (0 to 1) of the way to `other`.
    pub(super) fn towards(self, other: Self, share: f32) -> Self {
        let between = |from: u8, to: u8| {
            (f32::from(from) + (f32::from(to) - f32::from(from)) * share).round() as u8
        };
        Self {
            luma: between(self.luma, other.luma),
            blue: between(self.blue, other.blue),
            red: between(self.red, other.red),
        }
    }

    #[cfg(test)]
    pub(super) fn luma(self) -> u8 {
        self.luma
    }
}

/// A rectangle of the board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Area {
    pub(super) const BOARD: Self = Self {
        x: 0.0,
        y: 0.0,
        width: BOARD_WIDTH,
        height: BOARD_HEIGHT,
    };

    pub(super) const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// This area without a frame of `by` units.
    pub(super) const fn shrunk(self, by: f32) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            width: self.width - 2.0 * by,
            height: self.height - 2.0 * by,
        }
    }
}

/// An I420 picture that is being drawn.
pub(super) struct Canvas<'a> {
    size: PictureSize,
    luma: &'a mut [u8],
    blue: &'a mut [u8],
    red: &'a mut [u8],
    /// Pixels that may be drawn on.
    columns: Range<usize>,
    rows: Range<usize>,
}

impl<'a> Canvas<'a> {
    /// Draws into `i420`, which holds exactly one picture of even width and height.
    pub(super) fn new(i420: &'a mut [u8], size: PictureSize) -> Self {
        let (luma, chroma) = i420.split_at_mut(size.luma_bytes());
        let (blue, red) = chroma.split_at_mut(size.luma_bytes() / 4);
        Self {
            size,
            luma,
            blue,
            red,
            columns: 0..size.width,
            rows: 0..size.height,
        }
    }

    /// From here on, draws inside `area` only; an earlier area no longer counts.
    pub(super) fn clip_to(&mut self, area: Area) {
        self.columns = 0..self.size.width;
        self.rows = 0..self.size.height;
        self.columns = self.pixel_columns(area.x, area.x + area.width);
        self.rows = self.pixel_rows(area.y, area.y + area.height);
    }

    pub(super) fn rectangle(&mut self, area: Area, colour: Colour) {
        self.gradient(area, colour, colour);
    }

    /// A rectangle that goes from one colour at its top to another at its bottom.
    pub(super) fn gradient(&mut self, area: Area, top: Colour, bottom: Colour) {
        let rows = self.pixel_rows(area.y, area.y + area.height);
        let columns = self.pixel_columns(area.x, area.x + area.width);
        let height = rows.len().max(1) as f32;
        for (i, row) in rows.enumerate() {
            self.span(row, columns.clone(), top.towards(bottom, i as f32 / height));
        }
    }

    /// An ellipse by its centre and half its width and height.
    pub(super) fn ellipse(&mut self, x: f32, y: f32, half: (f32, f32), colour: Colour) {
        for row in self.pixel_rows(y - half.1, y + half.1) {
            let middle = (row as f32 + 0.5) * BOARD_HEIGHT / self.size.height as f32;
            let slope = (middle - y) / half.1;
            let reach = half.0 * (1.0 - slope * slope).max(0.0).sqrt();
            self.span(row, self.pixel_columns(x - reach, x + reach), colour);
        }
    }

    /// A line with round ends.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, colour: Colour) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let dots = (length * 8.0 / width).ceil().max(1.0);
        for dot in 0..=dots as usize {
            let share = dot as f32 / dots;
            let x = from.0 + (to.0 - from.0) * share;
            let y = from.1 + (to.1 - from.1) * share;
            self.ellipse(x, y, (width / 2.0, width / 2.0), colour);
        }
    }

    /// One row of pixels between two columns. Chroma has half the rows, so that odd rows carry none.
    fn span(&mut self, row: usize, columns: Range<usize>, colour: Colour) {
        let start = row * self.size.width;
        self.luma[start + columns.start..start + columns.end].fill(colour.luma);
        if row.is_multiple_of(2) {
            let start = row / 2 * (self.size.width / 2);
            let chroma = start + columns.start / 2..start + columns.end.div_ceil(2);
            self.blue[chroma.clone()].fill(colour.blue);
            self.red[chroma].fill(colour.red);
        }
    }

    fn pixel_columns(&self, from: f32, to: f32) -> Range<usize> {
        pixels(
            from,
            to,
            self.size.width as f32 / BOARD_WIDTH,
            &self.columns,
        )
    }

    fn pixel_rows(&self, from: f32, to: f32) -> Range<usize> {
        pixels(from, to, self.size.height as f32 / BOARD_HEIGHT, &self.rows)
    }
}

/// The pixels between two places of the board, inside `clip`; maybe none, never reversed.
fn pixels(from: f32, to: f32, scale: f32, clip: &Range<usize>) -> Range<usize> {
    // A float-to-integer cast saturates, so that places left of the picture become 0.
    let pixel = |place: f32| ((place * scale).round() as usize).clamp(clip.start, clip.end);
    let from = pixel(from);
    from..pixel(to).max(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: PictureSize = PictureSize {
        width: 64,
        height: 36,
    };
    const WHITE: Colour = Colour::rgb(255, 255, 255);

    #[test]
    fn colours_are_limited_range() {
        assert_eq!(
            Colour::rgb(0, 0, 0),
            Colour {
                luma: 16,
                blue: 128,
                red: 128
            }
        );
        assert_eq!(
            WHITE,
            Colour {
                luma: 235,
                blue: 128,
                red: 128
            }
        );
        assert_eq!(Colour::rgb(255, 0, 0).red, 239);
        assert_eq!(Colour::rgb(0, 0, 255).blue, 239);
    }

    #[test]
    fn nothing_is_drawn_outside_the_clip_until_it_is_widened() {
        let mut picture = vec![0; SIZE.i420_bytes()];
        let mut canvas = Canvas::new(&mut picture, SIZE);
        canvas.clip_to(Area::new(640.0, 360.0, 320.0, 180.0));
        canvas.rectangle(Area::BOARD, WHITE);
        let drawn = picture[..SIZE.luma_bytes()]
            .iter()
            .filter(|&&luma| luma == 235)
            .count();
        assert_eq!(drawn, 16 * 9);

        let mut canvas = Canvas::new(&mut picture, SIZE);
        canvas.clip_to(Area::new(0.0, 0.0, 20.0, 20.0));
        canvas.clip_to(Area::BOARD);
        canvas.rectangle(Area::BOARD, WHITE);
        assert!(picture[..SIZE.luma_bytes()].iter().all(|&luma| luma == 235));
    }

    proptest! {
        #[test]
        fn shapes_may_lie_anywhere(
            x in -5_000.0_f32..5_000.0,
            y in -5_000.0_f32..5_000.0,
            width in 0.0_f32..5_000.0,
            height in 0.0_f32..5_000.0,
        ) {
            let mut picture = vec![0; SIZE.i420_bytes()];
            let mut canvas = Canvas::new(&mut picture, SIZE);
            canvas.rectangle(Area::new(x, y, width, height), WHITE);
            canvas.ellipse(x, y, (width, height), WHITE);
            canvas.clip_to(Area::new(x, y, width, height));
            canvas.rectangle(Area::BOARD, WHITE);
        }
    }
}
