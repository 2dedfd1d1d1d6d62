//! XPath 1.0's grammar, by recursive descent.

use std::sync::Arc;

use super::functions::{self, Function};
use super::lexer::{Kind, Token, tokens};
use super::syntax::{Axis, Comparison, Operator, Path, Predicate, Start, Step, Test, Tree};
use super::{DEPTH_MAX, XPathError};

/// Parses a whole expression.
pub(super) fn parse(source: &str) -> Result<Tree, XPathError> {
    let mut parser = Parser { tokens: tokens(source)?, position: 0, depth: 0, height: 0 };
    let tree = parser.or()?;
    match parser.peek() {
        Kind::End => Ok(tree),
        _ => Err(parser.fault("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
    depth: usize,
    /// Height of the tree that was read last.
    height: usize,
}

/// An operator's sign and the tree that it makes.
type Join = (&'static str, fn(Box<Tree>, Box<Tree>) -> Tree);

/// Binary operators by rank, the loosest first.
const RANKS: [&[Join]; 7] = [
    &[("or", Tree::Or)],
    &[("and", Tree::And)],
    &[
        ("=", |left, right| Tree::Compare(Comparison::Equal, left, right)),
        ("!=", |left, right| Tree::Compare(Comparison::NotEqual, left, right)),
    ],
    &[
        ("<", |left, right| Tree::Compare(Comparison::Less, left, right)),
        ("<=", |left, right| Tree::Compare(Comparison::LessOrEqual, left, right)),
        (">", |left, right| Tree::Compare(Comparison::Greater, left, right)),
        (">=", |left, right| Tree::Compare(Comparison::GreaterOrEqual, left, right)),
    ],
    &[
        ("+", |left, right| Tree::Arithmetic(Operator::Add, left, right)),
        ("-", |left, right| Tree::Arithmetic(Operator::Subtract, left, right)),
    ],
    &[
        ("times", |left, right| Tree::Arithmetic(Operator::Multiply, left, right)),
        ("div", |left, right| Tree::Arithmetic(Operator::Divide, left, right)),
        ("mod", |left, right| Tree::Arithmetic(Operator::Modulo, left, right)),
    ],
    &[("|", Tree::Union)],
];
/// The rank of `|`, which binds closer than a minus sign.
const UNION: usize = 6;

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.position).map_or(&Kind::End, |token| &token.kind)
    }

    fn peek_after(&self, count: usize) -> &Kind {
        self.tokens.get(self.position + count).map_or(&Kind::End, |token| &token.kind)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.position += 1;
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), XPathError> {
        if self.take(sign) { Ok(()) } else { Err(self.fault(&format!("`{sign}`"))) }
    }

    fn fault(&self, expected: &str) -> XPathError {
        let offset = self.tokens.get(self.position).map_or(0, |token| token.offset);
        XPathError { offset, expected: expected.to_owned(), found: self.peek().shown() }
    }

    fn deeper<Result>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> std::result::Result<Result, XPathError>,
    ) -> std::result::Result<Result, XPathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(&format!("an expression nested at most {DEPTH_MAX} deep")));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Operands joined from the left by operators of at least this rank. One call takes all ranks: a call for each would need more
    /// stack. A long row makes a tree as high as it is long, so its height counts.
    fn ranked(&mut self, least: usize) -> Result<Tree, XPathError> {
        let mut left = if least < UNION { self.unary()? } else { self.path()? };
        let mut height = self.height;
        while let Some((rank, join)) = self.operator(least) {
            self.position += 1;
            let right = self.deeper(|parser| parser.ranked(rank + 1))?;
            height = height.max(self.height) + 1;
            self.check_height(height)?;
            left = join(Box::new(left), Box::new(right));
        }
        self.height = height;
        Ok(left)
    }

    /// The operator that comes next, if it is of at least this rank.
    #[allow(clippy::type_complexity, reason = "a rank and what joins two operands")]
    fn operator(&self, least: usize) -> Option<(usize, fn(Box<Tree>, Box<Tree>) -> Tree)> {
        let Kind::Sign(found) = self.peek() else { return None };
        RANKS.iter().enumerate().skip(least).find_map(|(rank, joins)| {
            let (_, join) = joins.iter().find(|(sign, _)| sign == found)?;
            Some((rank, *join))
        })
    }

    fn check_height(&self, height: usize) -> Result<(), XPathError> {
        if height > HEIGHT_MAX {
            return Err(self.fault(&format!("at most {HEIGHT_MAX} operators, steps and calls upon one another")));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Tree, XPathError> {
        self.deeper(|parser| parser.ranked(0))
    }

    fn unary(&mut self) -> Result<Tree, XPathError> {
        if self.take("-") {
            let inner = self.deeper(Self::unary)?;
            self.height += 1;
            self.check_height(self.height)?;
            return Ok(Tree::Negate(Box::new(inner)));
        }
        self.ranked(UNION)
    }

    fn path(&mut self) -> Result<Tree, XPathError> {
        self.height = 1;
        match self.peek().clone() {
            Kind::Number(number) => {
                self.position += 1;
                self.filtered(Tree::Number(number))
            }
            Kind::Text(text) => {
                self.position += 1;
                self.filtered(Tree::Text(text.into()))
            }
            Kind::Sign("(") => {
                self.position += 1;
                let inner = self.or()?;
                self.expect(")")?;
                self.filtered(inner)
            }
            Kind::Name(name) if matches!(self.peek_after(1), Kind::Sign("(")) && !is_node_type(&name) => {
                let call = self.call(&name)?;
                self.filtered(call)
            }
            Kind::Sign("/") => {
                self.position += 1;
                let steps = if self.step_begins() { self.steps()? } else { Vec::new() };
                Ok(Tree::Path(Path { start: Start::Root, steps }))
            }
            Kind::Sign("//") => {
                self.position += 1;
                let mut steps = vec![any_descendant()];
                steps.extend(self.steps()?);
                Ok(Tree::Path(Path { start: Start::Root, steps }))
            }
            _ if self.step_begins() => Ok(Tree::Path(Path { start: Start::Context, steps: self.steps()? })),
            _ => Err(self.fault("a value, a path or a function")),
        }
    }

    /// What may follow a primary expression: predicates and further steps.
    fn filtered(&mut self, base: Tree) -> Result<Tree, XPathError> {
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        if self.take("//") {
            steps.push(any_descendant());
            steps.extend(self.steps()?);
        } else if self.take("/") {
            steps.extend(self.steps()?);
        }
        if predicates.is_empty() && steps.is_empty() {
            return Ok(base);
        }
        Ok(Tree::Path(Path { start: Start::Filter(Box::new(base), predicates), steps }))
    }

    fn call(&mut self, name: &str) -> Result<Tree, XPathError> {
        let name_position = self.position;
        let Some(function) = functions::by_name(name) else {
            return Err(self.fault("a function of the ODK XForms specification"));
        };
        self.position += 2;
        let mut arguments = Vec::new();
        let mut height = 0;
        if !self.take(")") {
            loop {
                arguments.push(self.or()?);
                height = height.max(self.height);
                if arguments.len() > ARGUMENTS_MAX {
                    return Err(self.fault(&format!("at most {ARGUMENTS_MAX} arguments")));
                }
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    return Err(self.fault("`,` or `)`"));
                }
            }
        }
        if !function.accepts(arguments.len()) {
            let offset = self.tokens.get(name_position).map_or(0, |token| token.offset);
            return Err(XPathError {
                offset,
                expected: format!("{} for {name}()", arity(function)),
                found: arguments.len().to_string(),
            });
        }
        self.height = height + 1;
        self.check_height(self.height)?;
        Ok(Tree::Call { function, arguments })
    }

    fn predicates(&mut self) -> Result<Vec<Predicate>, XPathError> {
        let mut predicates = Vec::new();
        let mut height = self.height;
        while self.take("[") {
            let tree = self.or()?;
            self.expect("]")?;
            predicates.push(Predicate::new(tree));
            height = height.max(self.height + 1);
            if predicates.len() > PREDICATES_MAX {
                return Err(self.fault(&format!("at most {PREDICATES_MAX} predicates")));
            }
        }
        self.height = height;
        self.check_height(height)?;
        Ok(predicates)
    }

    fn step_begins(&self) -> bool {
        matches!(self.peek(), Kind::Name(_) | Kind::Sign("." | ".." | "@" | "*"))
    }

    fn steps(&mut self) -> Result<Vec<Step>, XPathError> {
        let mut steps = vec![self.step()?];
        loop {
            if self.take("//") {
                steps.push(any_descendant());
            } else if !self.take("/") {
                return Ok(steps);
            }
            steps.push(self.step()?);
            if steps.len() > STEPS_MAX {
                return Err(self.fault(&format!("at most {STEPS_MAX} steps")));
            }
        }
    }

    fn step(&mut self) -> Result<Step, XPathError> {
        if self.take(".") {
            let predicates = self.predicates()?;
            return Ok(Step { axis: Axis::Itself, test: Test::AnyNode, predicates });
        }
        if self.take("..") {
            let predicates = self.predicates()?;
            return Ok(Step { axis: Axis::Parent, test: Test::AnyNode, predicates });
        }
        let mut axis = Axis::Child;
        if self.take("@") {
            axis = Axis::Attribute;
        } else if let Kind::Name(name) = self.peek().clone()
            && matches!(self.peek_after(1), Kind::Sign("::"))
        {
            axis = axis_named(&name).ok_or_else(|| self.fault("an axis (child, parent, ancestor, …)"))?;
            self.position += 2;
        }
        let test = self.test()?;
        let predicates = self.predicates()?;
        Ok(Step { axis, test, predicates })
    }

    fn test(&mut self) -> Result<Test, XPathError> {
        if self.take("*") {
            return Ok(Test::AnyName);
        }
        let Kind::Name(name) = self.peek().clone() else { return Err(self.fault("a name")) };
        self.position += 1;
        if is_node_type(&name) && self.take("(") {
            if let Kind::Text(_) = self.peek() {
                self.position += 1;
            }
            self.expect(")")?;
            return Ok(if name == "node" { Test::AnyNode } else { Test::Nothing });
        }
        if name.ends_with(":*") {
            return Ok(Test::AnyName);
        }
        Ok(Test::Name(Arc::from(name)))
    }
}

/// Highest tree: a row of operators is as high as it is long.
const HEIGHT_MAX: usize = 500;
/// Most steps of one path.
const STEPS_MAX: usize = 200;
/// Most predicates of one step.
const PREDICATES_MAX: usize = 50;
/// Most arguments of one call.
const ARGUMENTS_MAX: usize = 1_000;

fn any_descendant() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::AnyNode, predicates: Vec::new() }
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "node" | "text" | "comment" | "processing-instruction")
}

fn axis_named(name: &str) -> Option<Axis> {
    Some(match name {
        "child" => Axis::Child,
        "descendant" => Axis::Descendant,
        "descendant-or-self" => Axis::DescendantOrSelf,
        "parent" => Axis::Parent,
        "ancestor" => Axis::Ancestor,
        "ancestor-or-self" => Axis::AncestorOrSelf,
        "following-sibling" => Axis::FollowingSibling,
        "preceding-sibling" => Axis::PrecedingSibling,
        "following" => Axis::Following,
        "preceding" => Axis::Preceding,
        "attribute" => Axis::Attribute,
        "self" => Axis::Itself,
        _ => return None,
    })
}

fn arity(function: &Function) -> String {
    match (function.least, function.most) {
        (0, 0) => "no argument".to_owned(),
        (least, usize::MAX) => format!("at least {least} arguments"),
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    }
}
