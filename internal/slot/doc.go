// Package slot supervises the engines on the GPUs of one machine: it starts them as child processes, tells when each is
// ready, parks and resumes them, and stops them.
//
// It promises that
//   - no GPU belongs to two awake engines, and an engine sees the GPUs of its block only;
//   - a parked engine has given its GPUs back, one that hangs on the way into or out of that is killed, and the key that
//     commands it is made for one process, given to that process alone, and neither logged nor kept;
//   - every change is pushed to every watcher, as a complete list, in order: ready the moment the engine has generated a
//     token (one that was parked: or has for 3 ms not refused to), an exit the moment the process has ended;
//   - once a term is fenced, no act of an older one is carried out;
//   - an instance that was stopped or has failed is never started again under the same id, whatever arrives late;
//   - Run returns only when every engine and all that it started has ended, and what a killed supervisor left behind is
//     killed before the next one launches anything;
//   - when it ends itself, it says so at once, and tells an engine that says how many requests it serves to end only when there are none.
//
// It never decides what to start or to stop, never restarts an engine that has failed, never cuts an engine that drains
// before its grace has passed (one that hangs drains nothing), and never touches a process that it did not start.
package slot
