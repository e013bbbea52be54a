//! Which methods are asked on which library.

use super::recipe::Recipe;
use crate::Result;
use crate::eval::Method;
use crate::named::unknown;
use crate::routing::RouterConfig;

/// What a library with one expert is asked with: its only choice.
pub(super) const ONLY: &str = "uniform";

/// The methods of each library in `libraries` (name, and whether it has one expert only), whose first is the main one.
///
/// A baseline, the base model and a router that names an expert are asked once, of the main library; any other router
/// of every library, and of one with a single expert only once, since there all routers are the same. `NAME/METHOD` is
/// asked as it is.
///
/// # Errors
/// Methods and libraries that there are not, with their line.
pub(super) fn methods_of(recipe: &Recipe, libraries: &[(String, bool)]) -> Result<Vec<Vec<String>>> {
    let fail = |error: crate::Error| recipe.fail("evaluation", "methods", error);
    let mut methods = vec![Vec::new(); libraries.len()];
    let mut add = |at: usize, method: String| {
        if !methods[at].contains(&method) {
            methods[at].push(method);
        }
    };
    for text in &recipe.evaluation.methods {
        if let (Some((name, method)), Err(_)) = (text.split_once('/'), text.parse::<Method>()) {
            let names = || libraries.iter().map(|(name, _)| name.as_str());
            let choices = names().collect::<Vec<_>>().join(", ");
            let at = names().position(|known| known == name);
            let at = at.ok_or_else(|| fail(unknown("library", name, names(), &choices)))?;
            add(at, method.parse::<Method>().map_err(fail)?.to_string());
            continue;
        }
        let method: Method = text.parse().map_err(fail)?;
        let once = match method.router() {
            None => true,
            Some(router) => router.router == RouterConfig::base().router || method.expert().is_some(),
        };
        if once {
            add(0, method.to_string());
            continue;
        }
        for (at, (_, is_single)) in libraries.iter().enumerate() {
            add(at, if *is_single { ONLY.into() } else { method.to_string() });
        }
    }
    Ok(methods)
}
