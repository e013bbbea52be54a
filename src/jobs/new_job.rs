//! A job as somebody asks for it: what it is to do, and what it takes of the machine that does it, under one list of
//! settings.

use super::kinds::AnyJob;
use super::share::{SHARE, Share};
use crate::settings::{CommandOption, Entry, Look, Refusal, Setting};

/// A job that is to be started, or started again.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// What it is to do.
    pub job: AnyJob,
    /// What it takes.
    pub share: Share,
}

impl From<AnyJob> for NewJob {
    fn from(job: AnyJob) -> Self {
        Self { job, share: Share::default() }
    }
}

impl NewJob {
    /// What a form shows of its settings.
    pub fn looks(&self) -> Vec<Look> {
        self.job.looks().into_iter().chain(SHARE.iter().filter_map(|setting| setting.look())).collect()
    }

    /// What the command line shows of its settings.
    pub fn options(&self) -> Vec<CommandOption> {
        self.job.options().into_iter().chain(SHARE.iter().filter_map(|setting| setting.option())).collect()
    }

    /// The value of a setting as typed.
    pub fn text(&self, id: &str) -> String {
        of_share(id).map_or_else(|| self.job.text(id), |setting| setting.text(&self.share))
    }

    /// Takes a typed text for a setting.
    ///
    /// # Errors
    /// What it has to be.
    pub fn set(&mut self, id: &str, text: &str) -> Result<(), Refusal> {
        match of_share(id) {
            Some(setting) => setting.set(&mut self.share, text),
            None => self.job.set(id, text),
        }
    }
}

fn of_share(id: &str) -> Option<&'static Setting<Share>> {
    SHARE.iter().find(|setting| setting.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::kinds::{Around, KINDS};

    #[test]
    fn no_kind_has_a_setting_of_the_name_of_one_of_all() {
        for kind in KINDS {
            let mut new = NewJob::from(kind.fresh(&Around::default()));
            let options = new.options();
            for setting in SHARE {
                let same = |option: &&CommandOption| option.id == setting.id || option.flag == setting.flag;
                assert_eq!(options.iter().filter(same).count(), 1, "{}: {}", kind.name, setting.id);
            }
            assert_eq!(new.set("cores", "0").unwrap_err().to_string(), "a whole number from 1 to 4096");
            new.set("cores", " 2 ").unwrap();
            assert_eq!((new.text("cores").as_str(), new.share.cores), ("2", Some(2)));
            assert_eq!(new.job, kind.fresh(&Around::default()));
        }
    }
}
