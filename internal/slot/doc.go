// Package slot supervises the engines on the GPUs of one machine: it starts them as child processes, tells when each is
// ready, and stops them.
//
// It promises that
//   - no GPU belongs to two awake engines, and an engine sees the GPUs of its block only;
//   - every change is pushed to every watcher, as a complete list, in order: ready the moment the engine has generated a
//     token, an exit the moment the process has ended;
//   - an instance that was stopped or has failed is never started again under the same id, whatever arrives late;
//   - Run returns only when every engine and all that it started has ended, and what a killed supervisor left behind is
//     killed before the next one launches anything.
//
// It never decides what to start or to stop, never restarts an engine that has failed, never cuts an engine that drains
// before its grace has passed, and never touches a process that it did not start.
package slot
