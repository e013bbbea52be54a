//! Where a file lies: a folder that is open, and a name in it.
//!
//! Everything below is done relative to the open folder, so that nobody can put a link in place of a folder between a
//! look and the act.

use std::io;
use std::path::Path;

/// Folder for derived data inside a library. From it on no part of a path may be a link.
pub const STATE_DIR: &str = ".lora-tui";

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading what is there.
    Read,
    /// Reading and writing what is there.
    ReadWrite,
    /// Writing what is there, from its beginning.
    Write,
    /// Reading and writing; made where it is missing.
    Open,
    /// Writing at the end; made where it is missing.
    Append,
    /// Reading and writing; it must not be there.
    New,
    /// As `New`, for the user alone.
    Private,
}

pub use imp::{Place, make_folders, open_through_links, reserve};

/// The error for something that is in the way of a file of the program.
pub fn in_the_way(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("is {what}, not a regular file; remove it"))
}

/// The part of a path that is taken as it is, and the names below, none of which may be a link: those from `.lora-tui`
/// on, and the last.
fn parts(path: &Path) -> (&Path, Vec<&std::ffi::OsStr>) {
    let count = path.components().count();
    let state = path.components().position(|part| part.as_os_str() == STATE_DIR);
    let below = count - state.unwrap_or(count.saturating_sub(1));
    let mut base = path;
    let mut names = Vec::new();
    for _ in 0..below {
        let (Some(name), Some(parent)) = (base.file_name(), base.parent()) else { break };
        names.push(name);
        base = parent;
    }
    names.reverse();
    (if base.as_os_str().is_empty() { Path::new(".") } else { base }, names)
}

#[cfg(unix)]
mod imp {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
    use rustix::io::Errno;

    use super::{Access, STATE_DIR, in_the_way, parts};
    use crate::outside::fault;

    /// A name in an open folder.
    #[derive(Debug)]
    pub struct Place {
        folder: OwnedFd,
        name: OsString,
        /// For messages, and for those who cannot be given an open folder.
        path: PathBuf,
    }

    /// A folder is only passed through.
    #[cfg(target_os = "linux")]
    const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    impl Access {
        fn flags(self) -> OFlags {
            let of = match self {
                Self::Read => OFlags::RDONLY,
                Self::ReadWrite => OFlags::RDWR,
                Self::Write => OFlags::WRONLY,
                Self::Open => OFlags::RDWR | OFlags::CREATE,
                Self::Append => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
                Self::New | Self::Private => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            };
            of | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK
        }

        fn call<T>(self, what: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
            match self {
                Self::Read | Self::ReadWrite | Self::Write => look(what),
                Self::Open | Self::Append | Self::New | Self::Private => change(what),
            }
        }

        /// Who may read and write what is made; the umask takes away from it.
        fn mode(self) -> Mode {
            Mode::from_raw_mode(if self == Self::Private { 0o600 } else { 0o666 })
        }
    }

    /// Looks at something, again where a signal interrupted it.
    fn look<T>(what: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
        again(fault::look, what)
    }

    /// Makes or changes something, again where a signal interrupted it.
    fn change<T>(what: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
        again(fault::change, what)
    }

    fn again<T>(
        point: impl Fn() -> io::Result<()>,
        mut what: impl FnMut() -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match point().and_then(|()| what().map_err(io::Error::from)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Takes room for so many bytes from the disk; where that cannot be done, looks whether there is some.
    pub fn reserve(file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            match change(|| fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes.max(1))) {
                Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOTSUP | Errno::NOSYS)) => {}
                done => return done,
            }
        }
        let found = rustix::fs::fstatvfs(file)?;
        match found.f_bavail.saturating_mul(found.f_frsize) < bytes {
            true => Err(Errno::NOSPC.into()),
            false => Ok(()),
        }
    }

    /// Opens what a person named, wherever links lead.
    pub fn open_through_links(path: &Path, access: Access) -> io::Result<File> {
        access.call(|| rustix::fs::openat(CWD, path, access.flags(), access.mode())).map(File::from)
    }

    impl Place {
        /// Of a file of the program: no folder from `.lora-tui` on is a link.
        pub fn own(path: &Path) -> io::Result<Self> {
            let (base, names) = parts(path);
            let Some((name, folders)) = names.split_last() else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "names no file"));
            };
            let mut folder = look(|| rustix::fs::openat(CWD, base, FOLDER, Mode::empty()))?;
            for inner in folders {
                folder = enter(&folder, inner)?;
            }
            Ok(Self { folder, name: (*name).into(), path: path.into() })
        }

        /// Of a file that a person named: its folder may be reached through links.
        pub fn named(path: &Path) -> io::Result<Self> {
            let Some(name) = path.file_name() else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "names no file"));
            };
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let folder = look(|| rustix::fs::openat(CWD, parent, FOLDER, Mode::empty()))?;
            Ok(Self { folder, name: name.into(), path: path.into() })
        }

        /// Its path, for messages.
        pub fn path(&self) -> &Path {
            &self.path
        }

        /// Another name in the same folder.
        pub fn beside(&self, name: &str) -> io::Result<Self> {
            Ok(Self {
                folder: self.folder.try_clone()?,
                name: name.into(),
                path: self.path.with_file_name(name),
            })
        }

        /// The same place once more.
        pub fn again(&self) -> io::Result<Self> {
            Ok(Self { folder: self.folder.try_clone()?, name: self.name.clone(), path: self.path.clone() })
        }

        /// Opens the file that lies here: no link, nothing but a regular file.
        pub fn open(&self, access: Access) -> io::Result<File> {
            let flags = access.flags() | OFlags::NOFOLLOW;
            let open = || rustix::fs::openat(&self.folder, &self.name, flags, access.mode());
            // A device or a pipe must not even be opened.
            match self.kind() {
                Ok(Some(FileType::RegularFile) | None) | Err(_) => {}
                Ok(Some(FileType::Symlink)) => return Err(in_the_way("a link")),
                Ok(Some(FileType::Directory)) => return Err(in_the_way("a folder")),
                Ok(Some(_)) => return Err(in_the_way("a pipe or a device")),
            }
            let file = File::from(access.call(open).map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::LOOP) => in_the_way("a link"),
                // A pipe without a reader.
                Some(Errno::NXIO) => in_the_way("a pipe or a device"),
                _ => error,
            })?);
            if file.metadata()?.is_file() { Ok(file) } else { Err(in_the_way("a pipe or a device")) }
        }

        /// Opens the folder that lies here.
        pub fn open_folder(&self) -> io::Result<File> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            look(|| rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty())).map(File::from)
        }

        /// What lies here; `None` where nothing does.
        fn kind(&self) -> io::Result<Option<FileType>> {
            match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }

        /// Whether anything lies here, a link too.
        pub fn is_taken(&self) -> io::Result<bool> {
            self.kind().map(|kind| kind.is_some())
        }

        /// Whether `file` is what lies here.
        pub fn is(&self, file: &File) -> bool {
            let (here, there) = (
                rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW),
                rustix::fs::fstat(file),
            );
            matches!((here, there), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
        }

        /// Makes a folder here.
        pub fn make_folder(&self) -> io::Result<()> {
            change(|| rustix::fs::mkdirat(&self.folder, &self.name, Mode::from_raw_mode(0o777)))
        }

        /// Renames what lies here to another name, in place of what is there.
        pub fn rename(&self, to: &Self) -> io::Result<()> {
            change(|| rustix::fs::renameat(&self.folder, &self.name, &to.folder, &to.name))
        }

        /// Renames without ever replacing something.
        pub fn rename_new(&self, to: &Self) -> io::Result<()> {
            #[cfg(any(target_os = "linux", target_os = "macos"))]
            {
                use rustix::fs::{RenameFlags, renameat_with};
                let rename =
                    || renameat_with(&self.folder, &self.name, &to.folder, &to.name, RenameFlags::NOREPLACE);
                match change(rename) {
                    // File systems without this flag: the check below is the best there is.
                    Err(e)
                        if matches!(
                            Errno::from_io_error(&e),
                            Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
                        ) => {}
                    done => return done,
                }
            }
            if to.is_taken()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.rename(to)
        }

        /// Removes the file or link that lies here.
        pub fn remove(&self) -> io::Result<()> {
            change(|| rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()))
        }

        /// Makes a rename in the folder last through a power cut, where the platform can.
        pub fn sync_folder(&self) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            if let Ok(folder) = look(|| rustix::fs::openat(&self.folder, ".", flags, Mode::empty())) {
                // Some file systems cannot sync directories; the rename itself has happened.
                let _ = rustix::fs::fsync(folder);
            }
        }
    }

    /// Opens a folder within another, which is no link.
    fn enter(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        let flags = FOLDER | OFlags::NOFOLLOW;
        look(|| rustix::fs::openat(folder, name, flags, Mode::empty())).map_err(|error| {
            let is_link = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
            match is_link {
                true => link_in_the_way(name),
                false => error,
            }
        })
    }

    fn link_in_the_way(name: &OsStr) -> io::Error {
        let name = name.to_string_lossy();
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name} is a link, through which nothing is written; remove it"),
        )
    }

    /// Makes the folders from `.lora-tui` on, none of which may be a link; those before may be reached through links.
    pub fn make_folders(path: &Path) -> io::Result<()> {
        let (base, names) = parts(path);
        change(|| Ok(()))?;
        // A library that is gone does not come back for the sake of what is derived from it.
        if names.first().is_none_or(|name| *name != STATE_DIR) {
            std::fs::create_dir_all(base)?;
        }
        let mut folder = look(|| rustix::fs::openat(CWD, base, FOLDER, Mode::empty()))?;
        for name in names {
            match change(|| rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777))) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            folder = enter(&folder, name)?;
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::{self, File};
    use std::io;
    use std::path::{Path, PathBuf};

    use super::{Access, in_the_way, parts};
    use crate::outside::fault;

    /// A path whose folders were looked at.
    #[derive(Debug)]
    pub struct Place(PathBuf);

    fn options(access: Access) -> fs::OpenOptions {
        let mut options = File::options();
        match access {
            Access::Read => options.read(true),
            Access::ReadWrite => options.read(true).write(true),
            Access::Write => options.write(true),
            Access::Open => options.read(true).write(true).create(true).truncate(false),
            Access::Append => options.append(true).create(true),
            Access::New | Access::Private => options.read(true).write(true).create_new(true),
        };
        options
    }

    /// Room cannot be taken here.
    pub fn reserve(_file: &File, _bytes: u64) -> io::Result<()> {
        fault::change()
    }

    /// Opens what a person named, wherever links lead.
    pub fn open_through_links(path: &Path, access: Access) -> io::Result<File> {
        fault::change()?;
        options(access).open(path)
    }

    fn is_link(path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| found.is_symlink())
    }

    impl Place {
        /// Of a file of the program: no folder from `.lora-tui` on is a link.
        pub fn own(path: &Path) -> io::Result<Self> {
            let (base, names) = parts(path);
            let mut at = base.to_path_buf();
            for name in names.split_last().map_or(&[][..], |(_, folders)| folders) {
                at.push(name);
                if is_link(&at) {
                    return Err(in_the_way("below a link"));
                }
            }
            Ok(Self(path.into()))
        }

        /// Of a file that a person named.
        pub fn named(path: &Path) -> io::Result<Self> {
            Ok(Self(path.into()))
        }

        /// Its path, for messages.
        pub fn path(&self) -> &Path {
            &self.0
        }

        /// Another name in the same folder.
        pub fn beside(&self, name: &str) -> io::Result<Self> {
            Ok(Self(self.0.with_file_name(name)))
        }

        /// The same place once more.
        pub fn again(&self) -> io::Result<Self> {
            Ok(Self(self.0.clone()))
        }

        /// Opens the file that lies here: no link, nothing but a regular file.
        pub fn open(&self, access: Access) -> io::Result<File> {
            fault::change()?;
            if is_link(&self.0) {
                return Err(in_the_way("a link"));
            }
            let file = options(access).open(&self.0)?;
            if file.metadata()?.is_file() { Ok(file) } else { Err(in_the_way("a folder or a device")) }
        }

        /// Folders cannot be opened here.
        pub fn open_folder(&self) -> io::Result<File> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Whether anything lies here, a link too.
        pub fn is_taken(&self) -> io::Result<bool> {
            Ok(self.0.symlink_metadata().is_ok())
        }

        /// Whether `file` is what lies here.
        pub fn is(&self, _file: &File) -> bool {
            self.0.symlink_metadata().is_ok()
        }

        /// Makes a folder here.
        pub fn make_folder(&self) -> io::Result<()> {
            fault::change()?;
            fs::create_dir(&self.0)
        }

        /// Renames what lies here to another name, in place of what is there.
        pub fn rename(&self, to: &Self) -> io::Result<()> {
            fault::change()?;
            fs::rename(&self.0, &to.0)
        }

        /// Renames without ever replacing something.
        pub fn rename_new(&self, to: &Self) -> io::Result<()> {
            if to.is_taken()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.rename(to)
        }

        /// Removes the file or link that lies here.
        pub fn remove(&self) -> io::Result<()> {
            fault::change()?;
            fs::remove_file(&self.0)
        }

        /// Directories are not synced here.
        pub fn sync_folder(&self) {}
    }

    /// Makes the folders from `.lora-tui` on, none of which may be a link.
    pub fn make_folders(path: &Path) -> io::Result<()> {
        Place::own(path)?;
        fs::create_dir_all(path)
    }
}
