#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* realpath, flock */
#endif
#include "append.h"

#include "quiet_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a file is opened anew that was replaced by another one before it was locked. */
#define TRIES 16

struct append {
  pid_t process;  /* that has opened it */
  int descriptor; /* -1: not open */
  bool made;      /* there was no file before */
  bool torn;      /* there may be something behind `size` */
  int lost;       /* why the disk may lack what was written; 0: nothing was lost */
  uint64_t size;  /* bytes that are written */
  char *given;    /* the path as it was given, to be told */
  char *path;     /* the same from the root on and without links, wherever the process goes */
};

/* The word for an errno. */
static const char *word_of(int error) {
  switch (error) {
  case EACCES:
  case EPERM:
  case EROFS:
    return "denied";
  case EISDIR:
    return "directory";
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return "full";
  default:
    return NULL;
  }
}

/* Notes what has failed, why in words, and the word for that, or NULL. */
static bool fail_as(const append *a, const char *what, const char *reason, const char *why,
                    append_fault *wrong) {
  fault_file(&wrong->what, what, a->given, reason);
  wrong->why = why;
  return false;
}

/* Notes the errno of a system call that has failed. */
static bool fail(const append *a, const char *what, int error, append_fault *wrong) {
  return fail_as(a, what, strerror(error), word_of(error), wrong);
}

static bool out_of_memory(append_fault *wrong) {
  fault_note(&wrong->what, OUTCOME_NO_MEMORY, "");
  wrong->why = NULL;
  return false;
}

/* Whether it is this process's. */
static bool check_process(const append *a, const char *what, append_fault *wrong) {
  return a->process == getpid() ||
         fail_as(a, what, "it is open in the process that this one was forked from", NULL, wrong);
}

/* ---- opening ---- */

/* Opens the file, or makes it. */
static bool open_file(append *a, append_fault *wrong) {
  const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* of a pipe or a device nothing is awaited */
  a->descriptor = open(a->given, flags);
  if (a->descriptor >= 0)
    return true;
  if (errno != ENOENT)
    return fail(a, "write", errno, wrong);
  a->descriptor = open(a->given, flags | O_CREAT, 0600);
  a->made = a->descriptor >= 0;
  if (a->descriptor < 0 && errno == ENOENT)
    return fail_as(a, "write", "its directory does not exist", "missing", wrong);
  return a->descriptor >= 0 || fail(a, "write", errno, wrong);
}

/* Whether two are the same file. */
static bool is_same(const struct stat *one, const struct stat *other) {
  return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Closes the file; with its lock, which would else last as long as forked processes do. What was made and is
   empty is removed. */
static void close_file(append *a) {
  struct stat about, there;
  if (a->descriptor < 0)
    return;
  if (a->process == getpid()) {
    const char *path = a->path != NULL ? a->path : a->given;
    if (a->made && fstat(a->descriptor, &about) == 0 && about.st_size == 0 && stat(path, &there) == 0 &&
        is_same(&about, &there))
      unlink(path);
    flock(a->descriptor, LOCK_UN);
  }
  close(a->descriptor);
  a->descriptor = -1;
  a->made = false;
}

/* Locks the file that was opened. */
static bool lock_file(append *a, append_fault *wrong) {
  struct stat about;
  if (fstat(a->descriptor, &about) != 0)
    return fail(a, "write", errno, wrong);
  if (!S_ISREG(about.st_mode))
    return fail_as(a, "write", "it is no regular file", NULL, wrong);
  if (flock(a->descriptor, LOCK_EX | LOCK_NB) == 0)
    return true;
  a->made = false; /* but by the one who has it */
  if (errno == EWOULDBLOCK)
    return fail_as(a, "lock", "it is open elsewhere", "locked", wrong);
  return fail(a, "lock", errno, wrong);
}

/* Opens the file and locks it. Who had it before may have removed it meanwhile: then it is opened anew. */
static bool open_locked(append *a, append_fault *wrong) {
  struct stat about, there;
  for (int i = 0; i < TRIES; i++) {
    if (!open_file(a, wrong) || !lock_file(a, wrong))
      return false;
    if (fstat(a->descriptor, &about) != 0)
      return fail(a, "write", errno, wrong);
    a->size = (uint64_t)about.st_size;
    if (stat(a->given, &there) == 0 && is_same(&about, &there))
      return true;
    close_file(a);
  }
  return fail_as(a, "write", "it is replaced all the time", NULL, wrong);
}

/* Finds out where the file is. */
static bool find_file(append *a, append_fault *wrong) {
  char path[PATH_MAX];
  if (realpath(a->given, path) == NULL)
    return fail(a, "write", errno, wrong);
  a->path = strdup(path);
  return a->path != NULL || out_of_memory(wrong);
}

/* Waits until the disk has the name of the file. Not every file system and not every user can do that. */
static bool sync_name(append *a, append_fault *wrong) {
  char *slash = strrchr(a->path, '/');
  int directory, error;
  *slash = '\0';
  directory = open(slash == a->path ? "/" : a->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *slash = '/';
  if (directory < 0)
    return true;
  do
    error = fsync(directory) == 0 ? 0 : errno;
  while (error == EINTR);
  close(directory);
  if (error == EIO || error == ENOSPC || error == EDQUOT)
    return fail(a, "write", error, wrong);
  return true;
}

append *append_new(const char *path, append_fault *wrong) {
  append *a = calloc(1, sizeof *a);
  if (a == NULL) {
    out_of_memory(wrong);
    return NULL;
  }
  a->process = getpid();
  a->descriptor = -1;
  a->given = strdup(path);
  if (a->given == NULL)
    out_of_memory(wrong);
  else if (open_locked(a, wrong) && find_file(a, wrong) && (a->size > 0 || sync_name(a, wrong)))
    return a;
  append_free(a);
  return NULL;
}

void append_free(append *a) {
  if (a == NULL)
    return;
  close_file(a);
  free(a->given);
  free(a->path);
  free(a);
}

/* ---- writing and reading ---- */

uint64_t append_size(const append *a) { return a->size; }

/* Takes away what is behind its end. */
static bool cut(append *a, append_fault *wrong) {
  int failed;
  do
    failed = ftruncate(a->descriptor, (off_t)a->size);
  while (failed != 0 && errno == EINTR);
  a->torn = failed != 0;
  return failed == 0 || fail(a, "write", errno, wrong);
}

/* Whether it can be written; what was left behind its end is taken away. */
static bool check_writable(append *a, append_fault *wrong) {
  if (!check_process(a, "write", wrong))
    return false;
  if (a->lost != 0)
    return fail(a, "write", a->lost, wrong);
  return !a->torn || cut(a, wrong);
}

bool append_write(append *a, const char *text, size_t length, append_fault *wrong) {
  uint64_t end = a->size;
  if (!check_writable(a, wrong))
    return false;
  while (length > 0) {
    ssize_t written = quiet_write(a->descriptor, text, length, (off_t)end);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) {
      append_fault other;
      fail(a, "write", written < 0 ? errno : ENOSPC, wrong);
      if (end > a->size)
        cut(a, &other);
      return false;
    }
    end += (uint64_t)written;
    text += written;
    length -= (size_t)written;
  }
  a->size = end;
  return true;
}

bool append_sync(append *a, append_fault *wrong) {
  struct stat about;
  int error;
  if (!check_writable(a, wrong))
    return false;
  if (fstat(a->descriptor, &about) != 0)
    return fail(a, "write", errno, wrong);
  if (about.st_nlink == 0)
    return fail_as(a, "write", "it was removed or replaced", NULL, wrong);
  if ((uint64_t)about.st_size != a->size)
    return fail_as(a, "write", "something else has changed it", NULL, wrong);
  do
    error = fdatasync(a->descriptor) == 0 ? 0 : errno;
  while (error == EINTR);
  a->lost = error;
  return error == 0 || fail(a, "write", error, wrong);
}

bool append_truncate(append *a, uint64_t size, append_fault *wrong) {
  uint64_t before = a->size;
  if (!check_writable(a, wrong))
    return false;
  a->size = size;
  if (cut(a, wrong))
    return true;
  a->size = before;
  return false;
}

ssize_t append_read(append *a, uint64_t offset, char *bytes, size_t length, append_fault *wrong) {
  size_t got = 0;
  if (!check_process(a, "read", wrong))
    return -1;
  if (offset >= a->size)
    return 0;
  if (length > a->size - offset)
    length = (size_t)(a->size - offset);
  while (got < length) {
    ssize_t some = pread(a->descriptor, bytes + got, length - got, (off_t)(offset + got));
    if (some < 0 && errno == EINTR)
      continue;
    if (some < 0) {
      fail(a, "read", errno, wrong);
      return -1;
    }
    if (some == 0)
      break;
    got += (size_t)some;
  }
  return (ssize_t)got;
}
