//! The frozen base model, which all trainings of a process share.

use std::path::{Path, PathBuf};

use super::forecast::{self, Crowd, Here};
use super::{TrainEvent, TrainSpec};
use crate::memory;
use crate::model::{DecoderSpec, Model, ModelFiles, Precision, Tokenizer, device_room, open_ops};
use crate::{Cancel, Error, Result};

/// A base model: opened to look at the data, loaded for the first step.
pub(super) struct Frozen {
    path: PathBuf,
    device: String,
    precision: Precision,
    /// Bytes of memory that were there before it was loaded, where that is known.
    room: Option<u64>,
    state: State,
}

enum State {
    /// `None` only while it is loaded, and when that failed.
    Opened(Option<Box<ModelFiles>>),
    Loaded(Box<Model>, Crowd),
}

impl Frozen {
    /// Opens the base model at `path`, as `spec` wants it.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(super) fn open(path: &Path, spec: &TrainSpec) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            device: spec.device.clone(),
            precision: spec.precision,
            room: None,
            state: State::Opened(Some(Box::new(ModelFiles::open(path)?))),
        })
    }

    /// Checks that it is the model at `path`, as `spec` wants it.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn check(&self, path: &Path, spec: &TrainSpec) -> Result<()> {
        match self.path == path && self.device == spec.device && self.precision == spec.precision {
            true => Ok(()),
            false => Err(Error::file(path, "experts that are trained together have one base model")),
        }
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer> {
        match &self.state {
            State::Opened(files) => files.as_ref().ok_or_else(gone)?.tokenizer(),
            State::Loaded(model, _) => model.tokenizer(),
        }
    }

    /// What it is.
    ///
    /// # Errors
    /// When it could not be loaded.
    pub(super) fn spec(&self) -> Result<&DecoderSpec> {
        match &self.state {
            State::Opened(files) => Ok(&files.as_ref().ok_or_else(gone)?.spec),
            State::Loaded(model, _) => Ok(&model.decoder.spec),
        }
    }

    /// Loads the model if it is not yet, with room for trainings like this one: `many` is how many there are, and how
    /// many are wanted at once.
    ///
    /// # Errors
    /// Too little memory for one training, with a way out; tensors that cannot be read; a raised `cancel`.
    pub(super) fn load(
        &mut self,
        spec: &TrainSpec,
        lengths: &[usize],
        many: (usize, Option<usize>),
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<()> {
        if let State::Opened(files) = &mut self.state {
            let files = files.take().ok_or_else(gone)?;
            let ops = open_ops(&spec.device)?;
            let cpu = ops.device().is_cpu();
            self.room = if cpu { memory::available() } else { device_room(ops.device()) };
            let free = self.room;
            // Forecasts were measured on the CPU: a GPU may say itself what is too much.
            forecast::check(&self.path, &files.spec, spec, lengths, free.filter(|_| cpu))?;
            let crowd = forecast::crowd(&files.spec, spec, lengths, Here { cpu, free }, many);
            let needed = forecast::Forecast::of(&files.spec, spec, crowd);
            let free = free.map_or(String::new(), |free| format!(", {} free", memory::size(free)));
            events(TrainEvent::Stage(format!(
                "loading the base model: training needs {}{free}",
                needed.text()
            )));
            let (shape, room) = (files.spec.clone(), self.room);
            let mut model =
                files.load(spec.precision, ops, &mut |_, _| {}, cancel).map_err(|error| match error {
                    Error::OutOfMemory => forecast::out_of_memory(&shape, spec, lengths, 1, room),
                    error => error,
                })?;
            model.decoder.dequantise_weights();
            self.state = State::Loaded(Box::new(model), crowd);
        }
        Ok(())
    }

    /// What an error of trainings means: with a way out where a GPU has no memory left. So many of them, such as this one
    /// over examples of these lengths, shared a pass.
    pub(super) fn explained(
        &self,
        error: Error,
        spec: &TrainSpec,
        lengths: &[usize],
        together: usize,
    ) -> Error {
        match (&error, self.spec()) {
            (Error::OutOfMemory, Ok(model)) => {
                forecast::out_of_memory(model, spec, lengths, together, self.room)
            }
            _ => error,
        }
    }

    /// The model, once it is loaded, and how many trainings share it.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn model(&self) -> Result<(&Model, Crowd)> {
        match &self.state {
            State::Loaded(model, crowd) => Ok((model, *crowd)),
            State::Opened(_) => Err(gone()),
        }
    }
}

fn gone() -> Error {
    Error::msg("the base model could not be loaded")
}
