//! Files that a form reads beside itself, as tables: CSV, XML as a secondary instance has it, GeoJSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::table::Table;
use crate::xform;

/// The file that holds the lists of all `select_one_external`, told apart by its column `list_name`.
pub const ITEMSETS: &str = "itemsets.csv";

/// Most cells of one file.
const CELLS_MAX: usize = 10_000_000;

/// Reads a file by the ending of its name. What cannot be read gives no rows: a form must open without its lists.
pub fn read(bytes: &[u8], file_name: &str) -> Table {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let ending = file_name.rsplit('.').next().unwrap_or_default().to_lowercase();
    match ending.as_str() {
        "xml" => xform::read_table(bytes).unwrap_or_default(),
        "geojson" | "json" => geojson(bytes).unwrap_or_default(),
        _ => {
            let mut table = csv(bytes);
            if file_name == ITEMSETS
                && let Some(name) = table.columns.iter_mut().find(|name| *name == "list name")
            {
                "list_name".clone_into(name);
            }
            table
        }
    }
}

/// A head line, then rows; short lines are filled up, what cannot be read is passed over. Semicolons and tabs separate where
/// the head line has them and no commas.
fn csv(bytes: &[u8]) -> Table {
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|delimiter| head.contains(delimiter)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(bytes);
    let columns: Vec<String> =
        reader.headers().map(|head| head.iter().map(|name| name.trim().to_owned()).collect()).unwrap_or_default();
    let rows_max = CELLS_MAX / columns.len().max(1);
    let rows = reader
        .records()
        .filter_map(Result::ok)
        .take(rows_max)
        .map(|line| {
            let mut row: Vec<String> = line.iter().map(str::to_owned).collect();
            // A cell that is not there reads as a blank one: short rows stay short.
            row.truncate(columns.len());
            row
        })
        .collect();
    Table::new(columns, rows)
}

/// Features with their id, their properties, and `geometry` in the text form of a geopoint, geotrace or geoshape.
fn geojson(bytes: &[u8]) -> Option<Table> {
    let whole: Value = serde_json::from_slice(bytes).ok()?;
    let features = whole.get("features")?.as_array()?;
    let mut columns = vec!["id".to_owned(), "geometry".to_owned()];
    let mut places: BTreeMap<String, usize> = columns.iter().cloned().zip(0..).collect();
    let mut rows = Vec::with_capacity(features.len());
    for feature in features {
        let geometry = feature.get("geometry").and_then(place_text).unwrap_or_default();
        let mut row = vec![feature.get("id").map(plain).unwrap_or_default(), geometry];
        for (name, value) in feature.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let place = *places.entry(name.clone()).or_insert_with(|| {
                columns.push(name.clone());
                columns.len() - 1
            });
            if row.len() <= place {
                row.resize(place + 1, String::new());
            }
            if let Some(cell) = row.get_mut(place) {
                *cell = plain(value);
            }
        }
        rows.push(row);
    }
    Some(Table::new(columns, rows))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Latitude comes first in ODK, longitude in GeoJSON.
fn place_text(geometry: &Value) -> Option<String> {
    let point = |pair: &Value| {
        let pair = pair.as_array()?;
        Some(format!("{} {} 0 0", plain(pair.get(1)?), plain(pair.first()?)))
    };
    let points = |line: &Value| -> Option<String> {
        let points: Vec<String> = line.as_array()?.iter().map(point).collect::<Option<_>>()?;
        Some(points.join("; "))
    };
    let coordinates = geometry.get("coordinates")?;
    match geometry.get("type")?.as_str()? {
        "Point" => point(coordinates),
        "LineString" => points(coordinates),
        "Polygon" => points(coordinates.as_array()?.first()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_csv_is_read_with_its_mark_and_short_lines() {
        let table = read("\u{feff}name,label, city\na,\"Herat, old\"\nb,Kabul,x,y\n".as_bytes(), "a.csv");
        assert_eq!(table.columns, ["name", "label", "city"]);
        assert_eq!(table.rows, [vec!["a", "Herat, old"], vec!["b", "Kabul", "x"]]);
        assert_eq!(table.cell(0, 2), "");
        assert_eq!(read(b"name;label\na;A", "a.csv").rows, [vec!["a", "A"]]);
    }

    #[test]
    fn xml_and_geojson_are_rows_too() {
        let table = read(b"<root><item><name>a</name><label>A &amp; B</label></item></root>", "a.xml");
        assert_eq!(
            (table.columns, table.rows),
            (vec!["name".to_owned(), "label".to_owned()], vec![vec!["a".to_owned(), "A & B".to_owned()]])
        );
        let json = br#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"c","geometry":{"type":"Point",
            "coordinates":[61.5,34.25]},"properties":{"title":"Camp","size":3}}]}"#;
        let table = read(json, "places.geojson");
        assert_eq!(table.columns, ["id", "geometry", "title", "size"].map(str::to_owned));
        assert_eq!(table.rows, [["c", "34.25 61.5 0 0", "Camp", "3"].map(str::to_owned).to_vec()]);
        assert!(read(b"{", "a.geojson").rows.is_empty());
    }
}
