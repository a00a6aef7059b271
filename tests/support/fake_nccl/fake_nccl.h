// A stand-in for NCCL and for the few calls of CUDA's runtime that our NCCL backend makes.
//
// Device memory is host memory. Each stream has a thread that carries out its work in order, so
// that asynchrony is real; ranks exchange data over MPI. Built for tests only, as libfakenccl.so.
// These functions inject faults into this rank. They may be called from any thread; each holds
// until fake_reset().
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

extern "C" {

// No faults, version and devices as at the start: NCCL as in its header, 8 GPUs a rank.
void fake_reset();
// From the `skip + 1`-th call on, the NCCL or CUDA function `name` does nothing but return `code`.
void fake_fail(const char* name, int code, int skip);
// ncclCommGetAsyncError reports this ncclResult_t.
void fake_async_error(int result);
// ncclCommAbort does not return until fake_reset().
void fake_hang_abort();
// ncclAllReduce holds its caller until fake_reset(), as when the launch queue is full.
void fake_hang_launch();
// The first `polls` questions after each collective are answered with ncclInProgress.
void fake_slow_launch(int polls);
// What ncclGetVersion says.
void fake_version(int code);
// GPUs that this rank sees; the PCI bus id of GPU i is "0000:0B:00.0", B = first_bus + i.
void fake_devices(int visible, int first_bus);
// 1: the stream that is asked next whether it is capturing begins a capture; what is captured does
// not run. 0: ends it, and returns what cudaStreamEndCapture does: an error when a stream that has
// joined the capture was not joined again.
int fake_capture(int capturing);
// Carries out what was captured last, on the streams that it was captured from.
void fake_replay();
// Buffers that ncclCommRegister has registered since the last fake_reset() and ncclCommDeregister
// has not freed. An abort changes nothing here.
int fake_registrations();
// How often the function has been called since the start or the last fake_reset().
int fake_calls(const char* name);

}  // extern "C"
