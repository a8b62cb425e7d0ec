//! Memory of drawn pictures, used again once nobody holds them any more.
//!
//! Without it, each picture would cost more for fresh pages than for its drawing.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// How many pictures are remembered.
const POOL: usize = 8;

/// The pictures that were handed out last.
#[derive(Default)]
pub(super) struct PicturePool(VecDeque<Bytes>);

impl PicturePool {
    /// A copy of `picture` in memory that nobody else holds.
    pub(super) fn copy_of(&mut self, picture: &[u8]) -> BytesMut {
        for _ in 0..self.0.len() {
            let Some(old) = self.0.pop_front() else {
                break;
            };
            match old.try_into_mut() {
                Ok(mut memory) if memory.len() == picture.len() => {
                    memory.copy_from_slice(picture);
                    return memory;
                }
                Ok(_) => {}
                Err(still_held) => self.0.push_back(still_held),
            }
        }
        BytesMut::from(picture)
    }

    /// Remembers a picture that is handed out.
    pub(super) fn keep_for_reuse(&mut self, picture: &Bytes) {
        if self.0.len() < POOL {
            self.0.push_back(picture.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hand_out(pool: &mut PicturePool) -> Bytes {
        let picture = pool.copy_of(&[7; 4096]).freeze();
        pool.keep_for_reuse(&picture);
        picture
    }

    #[test]
    fn memory_of_pictures_that_were_let_go_is_used_again() {
        let mut pool = PicturePool::default();
        let places: HashSet<*const u8> = (0..100).map(|_| hand_out(&mut pool).as_ptr()).collect();
        assert!(places.len() <= POOL, "{} places", places.len());
    }

    #[test]
    fn memory_of_pictures_that_somebody_holds_is_left_alone() {
        let mut pool = PicturePool::default();
        let held: Vec<_> = (0..20).map(|_| hand_out(&mut pool)).collect();
        let places: HashSet<*const u8> = held.iter().map(|picture| picture.as_ptr()).collect();
        assert_eq!(places.len(), held.len());
    }
}
