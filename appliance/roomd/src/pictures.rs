//! Pictures of what the room sees and sends, for the API.

use media::{MediaError, PictureTaker};

use crate::http::{PictureError, PictureFuture, PictureOf, PictureSource};

/// Takes pictures from the media graph, off the async workers: encoding a JPEG takes milliseconds.
#[derive(Debug)]
pub struct MediaPictures(pub PictureTaker);

impl PictureSource for MediaPictures {
    fn picture(&self, of: PictureOf) -> PictureFuture<'_> {
        let taker = self.0.clone();
        let of = match of {
            PictureOf::Sent => media::PictureOf::Sent,
            PictureOf::FarEnd(leg) => media::PictureOf::FarEnd(leg),
            PictureOf::SentSlides => media::PictureOf::SentSlides,
            PictureOf::FarEndSlides(leg) => media::PictureOf::FarEndSlides(leg),
        };
        Box::pin(async move {
            let taking = tokio::task::spawn_blocking(move || taker.take(of)).await;
            match taking {
                Ok(Ok(jpeg)) => Ok(jpeg),
                Ok(Err(MediaError::NoPicture | MediaError::UnknownLeg(_))) => {
                    Err(PictureError::Nothing)
                }
                Ok(Err(error)) => Err(PictureError::Failed(error.to_string())),
                Err(error) => Err(PictureError::Failed(error.to_string())),
            }
        })
    }
}
