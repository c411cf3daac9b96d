//! Typed flag, else the recipe's value, else the default; and a record of which it was.

use serde::Serialize;
use serde_json::{Map, Value};

use super::recipe::Hyperparameters;

/// What came from a recipe, for the summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Applied {
    pub name: &'static str,
    /// Values that the recipe set.
    pub set: Map<String, Value>,
    /// Values of the recipe that flags replaced.
    pub overridden: Map<String, Value>,
}

#[derive(Debug)]
pub(super) struct Resolver {
    recipe: Option<(Hyperparameters, Applied)>,
}

impl Resolver {
    pub(super) fn new(name: &'static str, recipe: Option<Hyperparameters>) -> Self {
        let applied = Applied {
            name,
            set: Map::new(),
            overridden: Map::new(),
        };
        Self {
            recipe: recipe.map(|recipe| (recipe, applied)),
        }
    }

    /// `None` where neither a flag nor the recipe says anything.
    pub(super) fn optional<T: Serialize>(
        &mut self,
        name: &str,
        typed: Option<T>,
        of: impl Fn(&Hyperparameters) -> T,
    ) -> Option<T> {
        let Some((recipe, applied)) = &mut self.recipe else {
            return typed;
        };
        let theirs = of(recipe);
        let place = if typed.is_some() {
            &mut applied.overridden
        } else {
            &mut applied.set
        };
        // These are numbers and words: they always have a JSON form.
        place.insert(name.to_owned(), serde_json::to_value(&theirs).unwrap_or_default());
        typed.or(Some(theirs))
    }

    pub(super) fn take<T: Serialize>(
        &mut self,
        name: &str,
        typed: Option<T>,
        of: impl Fn(&Hyperparameters) -> T,
        default: T,
    ) -> T {
        self.optional(name, typed, of).unwrap_or(default)
    }

    pub(super) fn applied(self) -> Option<Applied> {
        self.recipe.map(|(_, applied)| applied)
    }
}
