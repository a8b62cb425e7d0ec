//! One of each of the two pictures of a call.

use room::media_plan::VideoRole;

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
