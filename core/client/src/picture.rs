//! Photographs made smaller, as a form asks with `max-pixels`: the longer side gets at most so many. What a camera noted beside the picture, the
//! place among it, is not in the smaller one. A file that cannot be read as a picture stays as it is: it may be all that there is.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Longest side of a picture that is read.
const SIDE_MAX: u32 = 30_000;
/// Memory that reading one may take, in bytes.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Quality of a JPEG that is written, of 100.
const JPEG_QUALITY: u8 = 85;

/// The picture with no side longer than this, in the same format; `None` where it has none or is no JPEG or PNG.
pub(crate) fn scaled(content: &[u8], longest: u32) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(content)).with_guessed_format().ok()?;
    let format = reader.format()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
    limits.max_alloc = Some(MEMORY_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if longest == 0 || width.max(height) <= longest {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture = DynamicImage::from_decoder(decoder).ok()?.resize(longest, longest, FilterType::Triangle);
    picture.apply_orientation(orientation);
    let mut written = Vec::new();
    match format {
        ImageFormat::Jpeg => picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut written, JPEG_QUALITY)),
        ImageFormat::Png => picture.write_with_encoder(PngEncoder::new(&mut written)),
        _ => return None,
    }
    .ok()?;
    Some(written)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use image::{Rgb, RgbImage};

    /// A picture whose upper left quarter is red and the rest blue.
    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| if x < width / 2 && y < height / 2 { Rgb([230, 0, 0]) } else { Rgb([0, 0, 230]) })
    }

    fn jpeg(picture: &RgbImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_with_encoder(JpegEncoder::new(&mut bytes)).unwrap();
        bytes
    }

    #[test]
    fn the_longer_side_gets_what_the_form_asks_and_smaller_ones_stay() {
        let content = jpeg(&picture(400, 300));
        let smaller = image::load_from_memory(&scaled(&content, 100).unwrap()).unwrap();
        assert_eq!((smaller.width(), smaller.height()), (100, 75));
        let upright = scaled(&jpeg(&picture(300, 400)), 100).unwrap();
        assert_eq!(image::load_from_memory(&upright).unwrap().height(), 100);
        assert_eq!(scaled(&content, 400), None);
        let mut png = Vec::new();
        picture(400, 300).write_with_encoder(PngEncoder::new(&mut png)).unwrap();
        assert!(scaled(&png, 100).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_photograph_taken_with_the_phone_on_its_side_stands_upright() {
        // An APP1 segment with an EXIF orientation of 6: to be turned by a quarter.
        let content = jpeg(&picture(400, 300));
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let turned = [&content[..2], exif, &content[2..]].concat();
        let smaller = image::load_from_memory(&scaled(&turned, 100).unwrap()).unwrap().to_rgb8();
        assert_eq!((smaller.width(), smaller.height()), (75, 100));
        let red = |x, y| smaller.get_pixel(x, y).0[0] > 150;
        assert!(red(60, 20) && !red(15, 20) && !red(60, 80), "the red quarter is at the upper right");
    }

    #[test]
    fn what_is_no_picture_or_a_broken_one_stays_as_it_is() {
        let content = jpeg(&picture(400, 300));
        for bytes in [b"".as_slice(), b"%PDF-1.7", &content[..content.len() / 3], &content[..20]] {
            // A reader may make something of the beginning of a picture; it must not fail in another way.
            let _ = scaled(bytes, 100);
        }
        assert_eq!(scaled(b"no picture at all", 100), None);
        assert_eq!(scaled(&content, 0), None);
    }
}
