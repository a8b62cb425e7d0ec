//! The two pictures of a call, and what there is of each.

use crate::datagram::Medium;
use crate::event::Source;

/// What a picture shows (RFC 4796).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoRole {
    /// The people in the room: the camera's picture.
    Main,
    /// Slides.
    Slides,
}

impl VideoRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Main, Self::Slides];

    /// The stream that carries it.
    #[must_use]
    pub const fn medium(self) -> Medium {
        match self {
            Self::Main => Medium::Video,
            Self::Slides => Medium::Slides,
        }
    }

    /// Where a room takes it from.
    pub(crate) const fn source(self) -> Source {
        match self {
            Self::Main => Source::Camera,
            Self::Slides => Source::Slides,
        }
    }
}

/// One of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByRole<T> {
    pub(crate) main: T,
    pub(crate) slides: T,
}

impl<T> ByRole<T> {
    /// One of each, made in turn.
    pub(crate) fn new(mut make: impl FnMut(VideoRole) -> T) -> Self {
        Self {
            main: make(VideoRole::Main),
            slides: make(VideoRole::Slides),
        }
    }

    /// One of each, unless one cannot be made.
    pub(crate) fn try_new<E>(mut make: impl FnMut(VideoRole) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            main: make(VideoRole::Main)?,
            slides: make(VideoRole::Slides)?,
        })
    }

    pub(crate) fn get(&self, role: VideoRole) -> &T {
        match role {
            VideoRole::Main => &self.main,
            VideoRole::Slides => &self.slides,
        }
    }

    pub(crate) fn get_mut(&mut self, role: VideoRole) -> &mut T {
        match role {
            VideoRole::Main => &mut self.main,
            VideoRole::Slides => &mut self.slides,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (VideoRole, &T)> {
        VideoRole::ALL
            .into_iter()
            .map(|role| (role, self.get(role)))
    }
}

impl<T> ByRole<Option<T>> {
    /// Those that there are.
    pub(crate) fn present(&self) -> impl Iterator<Item = &T> {
        self.main.iter().chain(&self.slides)
    }
}
