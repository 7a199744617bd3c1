//! Our errors as containerd's status codes: the one place where they are chosen.

use ttrpc;
use ttrpc::Code;

use crate::error::{Error, Kind};

impl From<Error> for ttrpc::Error {
    fn from(error: Error) -> ttrpc::Error {
        let code = match error.kind() {
            Kind::NotFound => Code::NOT_FOUND,
            Kind::AlreadyExists => Code::ALREADY_EXISTS,
            Kind::FailedPrecondition => Code::FAILED_PRECONDITION,
            Kind::InvalidArgument => Code::INVALID_ARGUMENT,
            Kind::Unimplemented => Code::UNIMPLEMENTED,
            Kind::Unavailable => Code::UNAVAILABLE,
        };
        ttrpc::Error::RpcStatus(ttrpc::get_status(code, error))
    }
}
