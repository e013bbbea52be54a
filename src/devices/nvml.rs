//! NVIDIA's management library, which comes with the driver. It is looked for when it is asked for: no build needs it, and
//! where it is missing no GPUs are known.

use super::Gpu;

/// All GPUs, by their numbers.
#[cfg(target_os = "linux")]
pub fn gpus() -> Vec<Gpu> {
    use std::sync::OnceLock;
    static LIBRARY: OnceLock<Option<linux::Nvml>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| linux::Nvml::open(c"libnvidia-ml.so.1"));
    library.as_ref().map(linux::Nvml::gpus).unwrap_or_default()
}

/// All GPUs, by their numbers.
#[cfg(not(target_os = "linux"))]
pub fn gpus() -> Vec<Gpu> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
    use std::mem::transmute_copy;

    use super::super::Gpu;

    /// `nvmlReturn_t` of a call that went well.
    const SUCCESS: c_int = 0;
    /// Longest name and UUID, as `nvml.h` has it.
    const TEXT: usize = 96;
    /// More than any machine has.
    const MOST: c_uint = 256;

    /// `nvmlDevice_t`.
    type Device = *mut c_void;
    type GetText = unsafe extern "C" fn(Device, *mut c_char, c_uint) -> c_int;

    /// `nvmlMemory_t`, in bytes.
    #[repr(C)]
    #[derive(Default)]
    struct Memory {
        total: u64,
        free: u64,
        used: u64,
    }

    /// `nvmlUtilization_t`, in per cent.
    #[repr(C)]
    #[derive(Default)]
    struct Utilization {
        gpu: c_uint,
        memory: c_uint,
    }

    /// The functions of the library that are called, which stays loaded.
    pub struct Nvml {
        count: unsafe extern "C" fn(*mut c_uint) -> c_int,
        handle: unsafe extern "C" fn(c_uint, *mut Device) -> c_int,
        name: GetText,
        uuid: GetText,
        memory: unsafe extern "C" fn(Device, *mut Memory) -> c_int,
        utilization: unsafe extern "C" fn(Device, *mut Utilization) -> c_int,
    }

    impl Nvml {
        /// Loads and starts the library; `None` where it is missing, lacks one of the functions, or has no driver.
        pub fn open(library: &CStr) -> Option<Self> {
            // SAFETY: the name ends with a zero; the driver's library may be loaded at any time.
            let library = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            if library.is_null() {
                return None;
            }
            let symbol = |name: &CStr| {
                // SAFETY: the library was opened and is never closed; the name ends with a zero.
                let found = unsafe { libc::dlsym(library, name.as_ptr()) };
                (!found.is_null()).then_some(found)
            };
            /// A function by its address.
            ///
            /// # Safety
            /// `F` has to be the type of the function at that address, a pointer.
            unsafe fn function<F>(address: *mut c_void) -> F {
                // SAFETY: a function's address is a pointer to it, of the same size.
                unsafe { transmute_copy(&address) }
            }
            let [init, count, handle, name, uuid, memory, utilization] = [
                symbol(c"nvmlInit_v2")?,
                symbol(c"nvmlDeviceGetCount_v2")?,
                symbol(c"nvmlDeviceGetHandleByIndex_v2")?,
                symbol(c"nvmlDeviceGetName")?,
                symbol(c"nvmlDeviceGetUUID")?,
                symbol(c"nvmlDeviceGetMemoryInfo")?,
                symbol(c"nvmlDeviceGetUtilizationRates")?,
            ];
            // SAFETY: these are the types that `nvml.h` declares for the functions of these names.
            let (init, nvml) = unsafe {
                let init: unsafe extern "C" fn() -> c_int = function(init);
                let nvml = Self {
                    count: function(count),
                    handle: function(handle),
                    name: function(name),
                    uuid: function(uuid),
                    memory: function(memory),
                    utilization: function(utilization),
                };
                (init, nvml)
            };
            // SAFETY: takes nothing, and may be called several times.
            (unsafe { init() } == SUCCESS).then_some(nvml)
        }

        /// All GPUs; one that does not say its memory is left out.
        pub fn gpus(&self) -> Vec<Gpu> {
            let mut count = 0;
            // SAFETY: writes one number there.
            if unsafe { (self.count)(&raw mut count) } != SUCCESS {
                return Vec::new();
            }
            (0..count.min(MOST)).filter_map(|number| self.gpu(number)).collect()
        }

        fn gpu(&self, number: c_uint) -> Option<Gpu> {
            let (mut device, mut memory) = (std::ptr::null_mut(), Memory::default());
            let mut load = Utilization::default();
            // SAFETY: each writes one value of its type there; the device is one that the library gave.
            unsafe {
                if (self.handle)(number, &raw mut device) != SUCCESS
                    || (self.memory)(device, &raw mut memory) != SUCCESS
                {
                    return None;
                }
                let has_load = (self.utilization)(device, &raw mut load) == SUCCESS;
                Some(Gpu {
                    uuid: text(self.uuid, device),
                    name: text(self.name, device),
                    free: memory.free,
                    total: memory.total,
                    load: has_load.then_some(load.gpu),
                })
            }
        }
    }

    /// What a function says of a device; empty where it does not.
    ///
    /// # Safety
    /// `function` has to write at most as many bytes as it is given, and `device` has to be one of its library.
    unsafe fn text(function: GetText, device: Device) -> String {
        let mut bytes = [0u8; TEXT];
        // SAFETY: as the caller promises; the last byte stays zero whatever is written before it.
        let done = unsafe { function(device, bytes.as_mut_ptr().cast(), TEXT as c_uint - 1) };
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
        if done == SUCCESS { text.to_string_lossy().into_owned() } else { String::new() }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_is_no_such_library_has_no_gpus() {
            assert!(Nvml::open(c"libnvidia-ml-of-no-machine.so").is_none());
            assert!(Nvml::open(c"libc.so.6").is_none());
        }
    }
}
