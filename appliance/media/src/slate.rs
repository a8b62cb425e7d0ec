//! The picture that is sent while the camera is off or gone: a camera, crossed out.
//!
//! A drawing instead of words, so that every far end can read it.

use room::units::Resolution;

const BACKGROUND: u8 = 40;
const DRAWING: u8 = 150;
/// Without colour, with a touch of blue.
const BLUE: u8 = 136;
const RED: u8 = 124;

/// The slate as I420 planes without padding.
pub(crate) fn draw(resolution: Resolution) -> Vec<u8> {
    let (width, height) = (resolution.width as usize, resolution.height as usize);
    let luma_len = width * height;
    let mut planes = vec![BACKGROUND; luma_len + luma_len / 2];
    planes[luma_len..luma_len + luma_len / 4].fill(BLUE);
    planes[luma_len + luma_len / 4..].fill(RED);
    for (y, row) in planes[..luma_len]
        .chunks_exact_mut(width.max(1))
        .enumerate()
    {
        for (x, pixel) in row.iter_mut().enumerate() {
            // Units of a hundredth of the height, the middle at 0.
            let unit = |at: usize, size: usize| {
                (at as i64 * 2 - size as i64) * 50 / (height.max(1) as i64)
            };
            if is_drawn(unit(x, width), unit(y, height)) {
                *pixel = DRAWING;
            }
        }
    }
    planes
}

/// Whether a point belongs to the drawing: body and lens of a camera, and a stroke through it.
fn is_drawn(x: i64, y: i64) -> bool {
    let stroke = (x + y).abs();
    if stroke <= 1 && x.abs() <= 17 {
        return true;
    }
    // A gap on both sides keeps the stroke readable.
    if stroke <= 3 {
        return false;
    }
    let body = (-14..=5).contains(&x) && y.abs() <= 9;
    let lens = (7..=14).contains(&x) && y.abs() <= x - 5;
    body || lens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slate_fills_a_frame_of_any_size_and_shows_something() {
        for (width, height) in [(1280, 720), (640, 360), (8, 2), (176, 144)] {
            let slate = draw(Resolution { width, height });
            assert_eq!(slate.len(), (width * height * 3 / 2) as usize);
        }
        let slate = draw(Resolution::NHD360);
        assert!(slate.iter().filter(|&&pixel| pixel == DRAWING).count() > 5_000);
    }
}
