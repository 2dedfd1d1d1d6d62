//! Places: areas, distances and fences, on the sphere that JavaRosa uses.

use super::super::evaluate::{EvaluationError, Scope};
use super::super::syntax::Tree;
use super::super::value::{Value, parse_number};
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

/// Equatorial radius in metres.
const EARTH_RADIUS_M: f64 = 6_378_100.0;

/// Latitude and longitude in degrees.
type Point = (f64, f64);

fn point(text: &str) -> Option<Point> {
    let parts: Vec<f64> = text.split_whitespace().map(parse_number).collect();
    let (latitude, longitude) = (*parts.first()?, *parts.get(1)?);
    let real = parts.len() <= 4 && parts.iter().all(|part| !part.is_nan());
    (real && latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude))
}

fn line(text: &str) -> Option<Vec<Point>> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(point).collect()
}

/// One trace in one text, or a point in each.
fn points(scope: &Scope<'_>, arguments: &[Tree]) -> Result<Option<Vec<Point>>, EvaluationError> {
    let texts = scope.texts(arguments)?;
    let found = match texts.as_slice() {
        [one] => line(one),
        many => many.iter().map(|text| point(text)).collect(),
    };
    Ok(found.filter(|points| points.len() >= 2))
}

fn centimetres(value: f64) -> f64 {
    ((value * 100.0).round() / 100.0).abs()
}

pub(super) fn area(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let Some(points) = points(scope, arguments)? else { return Ok(Value::Number(0.0)) };
    if points.len() < 3 {
        return Ok(Value::Number(0.0));
    }
    let next = points.iter().cycle().skip(1);
    let total: f64 = points
        .iter()
        .zip(next)
        .map(|((latitude, longitude), (next_latitude, next_longitude))| {
            (next_longitude - longitude).to_radians() * (2.0 + next_latitude.to_radians().sin() + latitude.to_radians().sin())
        })
        .sum();
    Ok(Value::Number(centimetres(total * EARTH_RADIUS_M * EARTH_RADIUS_M / 2.0)))
}

pub(super) fn distance(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let Some(points) = points(scope, arguments)? else {
        return Err(EvaluationError::Argument { function: "distance", expected: "two points or a line" });
    };
    let total: f64 = points.iter().zip(points.iter().skip(1)).map(|(from, to)| metres_between(*from, *to)).sum();
    Ok(Value::Number(centimetres(total)))
}

fn metres_between(from: Point, to: Point) -> f64 {
    if from == to {
        return 0.0;
    }
    let (from_latitude, to_latitude) = (from.0.to_radians(), to.0.to_radians());
    let across = (from.1 - to.1).to_radians().cos();
    (from_latitude.sin() * to_latitude.sin() + from_latitude.cos() * to_latitude.cos() * across).clamp(-1.0, 1.0).acos()
        * EARTH_RADIUS_M
}

/// Whether a point is inside a closed shape.
pub(super) fn geofence(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let inside_of = point(&scope.text(argument(arguments, 0, "geofence")?)?);
    let shape = line(&scope.text(argument(arguments, 1, "geofence")?)?);
    let (Some((latitude, longitude)), Some(shape)) = (inside_of, shape) else { return Ok(Value::Boolean(false)) };
    if shape.len() < 2 || shape.first() != shape.last() {
        return Ok(Value::Boolean(false));
    }
    let crossings = shape.iter().zip(shape.iter().skip(1)).filter(|(from, to)| {
        let straddles = (to.0 > latitude) != (from.0 > latitude);
        straddles && longitude < (from.1 - to.1) * (latitude - to.0) / (from.0 - to.0) + to.1
    });
    Ok(Value::Boolean(crossings.count() % 2 == 1))
}

/// Whether a line, or the border of a shape, crosses or touches itself. Neighbouring segments share an end and are passed over, the
/// last and the first of a closed shape too.
pub(super) fn intersects(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let Some(points) = line(&scope.text(argument(arguments, 0, "intersects")?)?) else { return Ok(Value::Boolean(false)) };
    let segments: Vec<(Point, Point)> =
        points.iter().copied().zip(points.iter().copied().skip(1)).filter(|(from, to)| from != to).collect();
    let is_closed = points.first() == points.last();
    // Each is compared with each after it.
    scope.spend(segments.len() * segments.len() / 2)?;
    let crosses = segments.iter().enumerate().any(|(place, one)| {
        segments.iter().enumerate().skip(place + 2).any(|(other_place, other)| {
            let neighbours = is_closed && place == 0 && other_place + 1 == segments.len();
            !neighbours && share_a_point(*one, *other)
        })
    });
    Ok(Value::Boolean(crosses))
}

fn share_a_point(one: (Point, Point), other: (Point, Point)) -> bool {
    let (first, second) = (side(one, other.0), side(one, other.1));
    let (third, fourth) = (side(other, one.0), side(other, one.1));
    let touches = |side: f64, segment: (Point, Point), point: Point| side == 0.0 && in_box(segment, point);
    (first * second < 0.0 && third * fourth < 0.0)
        || touches(first, one, other.0)
        || touches(second, one, other.1)
        || touches(third, other, one.0)
        || touches(fourth, other, one.1)
}

/// On which side of a line through two points a third is: nothing where it is on the line.
fn side((from, to): (Point, Point), point: Point) -> f64 {
    (to.0 - from.0) * (point.1 - from.1) - (to.1 - from.1) * (point.0 - from.0)
}

fn in_box((from, to): (Point, Point), point: Point) -> bool {
    let within = |one: f64, other: f64, value: f64| value >= one.min(other) && value <= one.max(other);
    within(from.0, to.0, point.0) && within(from.1, to.1, point.1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::{check, text_of};

    #[test]
    fn a_degree_of_latitude_is_111_kilometres() {
        // 6378100 * pi / 180
        check(&[
            ("distance('0 0', '1 0')", "111318.85"),
            ("distance('0 0 0 0; 1 0 0 0; 2 0 0 0')", "222637.69"),
            ("distance('1 1', '1 1')", "0"),
        ]);
    }

    #[test]
    fn a_square_of_a_degree_at_the_equator() {
        let area: f64 = text_of("area('0 0; 0 1; 1 1; 1 0; 0 0')").parse().unwrap();
        // The spherical value is R² * (pi/180) * sin(1°) = 12 390 km²; this formula takes the mean of the sines.
        assert!((area - 1.239e10).abs() < 2e7, "{area}");
        check(&[("area('0 0')", "0"), ("area('')", "0")]);
    }

    #[test]
    fn fences() {
        check(&[
            ("geofence('0.5 0.5', '0 0; 0 1; 1 1; 1 0; 0 0')", "true"),
            ("geofence('2 0.5', '0 0; 0 1; 1 1; 1 0; 0 0')", "false"),
            ("geofence('0.5 0.5', '0 0; 0 1; 1 1')", "false"),
            ("geofence('', '')", "false"),
        ]);
    }

    #[test]
    fn a_line_that_crosses_itself_is_told() {
        check(&[
            ("intersects('0 0; 2 2; 2 0; 0 2')", "true"),
            ("intersects('0 0; 0 2; 2 2; 2 0')", "false"),
            // A closed square, and the same with its corners in a wrong order.
            ("intersects('0 0; 0 1; 1 1; 1 0; 0 0')", "false"),
            ("intersects('0 0; 1 1; 1 0; 0 1; 0 0')", "true"),
            // It comes back to the middle of its first segment.
            ("intersects('0 0; 0 4; 2 4; 0 2')", "true"),
            ("intersects('0 0; 1 1')", "false"),
            ("intersects('')", "false"),
        ]);
    }
}
