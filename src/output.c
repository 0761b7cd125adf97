#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sync_file_range */
#endif
#include "output.h"

#include "quiet_write.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many names for the temporary file are tried. */
#define TRIES 16

/* How many symbolic links in a row are followed: as many as by the kernel (path_resolution(7)). */
#define MOST_LINKS 40

/* Each time that so many bytes have come, the kernel is told to begin writing them to the disk, so that
   little is left for the fsync at the end. */
#define FLUSHED_BYTES ((uint64_t)8 * 1024 * 1024)

struct output {
  unsigned references;
  pid_t process;  /* that has made it */
  bool open;      /* neither committed nor discarded */
  int descriptor; /* -1: nobody writes now */
  int lost;       /* why what was written may not be there; 0: nothing was lost */
  dev_t device;   /* which file it is, for when it is opened again */
  ino_t number;
  mode_t mode;        /* of what it becomes */
  uint64_t received;  /* bytes in it */
  uint64_t flushed;   /* of these the kernel was told to write */
  char *given;        /* the target as it was given, to be told */
  char *target;       /* the same as it is meant, wherever the process goes */
  char *temporary;    /* beside it */
  const void *writer; /* who has claimed it; NULL: nobody */
};

/* Notes the errno of a system call that has failed. */
static bool fail(const char *path, fault *wrong, int error) {
  fault_file(wrong, "write", path, strerror(error));
  return false;
}

static bool out_of_memory(fault *wrong) {
  fault_note(wrong, OUTCOME_NO_MEMORY, "");
  return false;
}

/* Whether the output can be used: it is this process's, and open. */
static bool check_usable(const output *o, fault *wrong) {
  if (o->process != getpid())
    fault_file(wrong, "write", o->given, "the output is one of the process that this one was forked from");
  else if (!o->open)
    fault_file(wrong, "write", o->given, "the output is closed");
  else
    return true;
  return false;
}

/* Whether nobody else than `writer` writes it. */
static bool check_writer(const output *o, const void *writer, fault *wrong) {
  if (o->writer == NULL || o->writer == writer)
    return true;
  fault_file(wrong, "write", o->given, "a response is being written into it");
  return false;
}

/* Closes the descriptor until somebody writes again. Some file systems report only then that data were
   lost. */
static void close_file(output *o) {
  if (o->descriptor >= 0 && close(o->descriptor) != 0 && errno != EINTR)
    o->lost = errno;
  o->descriptor = -1;
}

/* Makes sure that the descriptor is open. False: a fault is noted, such as that the file is gone. */
static bool open_file(output *o, fault *wrong) {
  struct stat about;
  if (!check_usable(o, wrong))
    return false;
  if (o->lost != 0)
    return fail(o->given, wrong, o->lost);
  if (o->descriptor >= 0)
    return true;
  o->descriptor = open(o->temporary, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (o->descriptor < 0) {
    fault_open(wrong, "write", o->given, errno);
    return false;
  }
  if (fstat(o->descriptor, &about) == 0 && about.st_dev == o->device && about.st_ino == o->number)
    return true;
  close_file(o);
  fault_file(wrong, "write", o->given, "the temporary file was replaced by another one");
  return false;
}

/* ---- making one ---- */

/* DIRECTORY/NAME in malloc'd memory; NULL: no memory. */
static char *join(const char *directory, const char *name) {
  size_t size = strlen(directory) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL)
    snprintf(path, size, "%s/%s", directory, name);
  return path;
}

/* Splits a path into its directory, without links on the way and from the root on, and its target there. */
static bool place_target(output *o, const char *path, char *directory, fault *wrong) {
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  size_t length = slash != NULL ? (size_t)(slash - path) : 0;
  if (name[0] == '\0')
    return fail(o->given, wrong, slash != NULL ? EISDIR : ENOENT);
  if (length >= sizeof parent)
    return fail(o->given, wrong, ENAMETOOLONG);
  if (slash == NULL)
    memcpy(parent, ".", 2);
  else if (length == 0)
    memcpy(parent, "/", 2);
  else
    snprintf(parent, sizeof parent, "%.*s", (int)length, path);
  if (realpath(parent, directory) == NULL) {
    if (errno != ENOENT)
      return fail(o->given, wrong, errno);
    fault_file(wrong, "write", o->given, "its directory does not exist");
    return false;
  }
  free(o->target);
  o->target = join(directory, name);
  return o->target != NULL || out_of_memory(wrong);
}

/* Finds out where the target is, and follows it if it is a link. The system is asked whether this user may
   (proc(5), protected_symlinks), and whether there is an end. */
static bool find_target(output *o, char *directory, fault *wrong) {
  char link[PATH_MAX], next[2 * PATH_MAX];
  struct stat about;
  ssize_t length;
  if (!place_target(o, o->given, directory, wrong))
    return false;
  for (int i = 0; (length = readlink(o->target, link, sizeof link)) >= 0; i++) {
    bool there = stat(o->target, &about) == 0;
    if (!there && errno != ENOENT)
      return fail(o->given, wrong, errno);
    if (there && !S_ISREG(about.st_mode)) /* nor need its name be one: /dev/stdout */
      return true;
    if (i == MOST_LINKS)
      return fail(o->given, wrong, ELOOP);
    if (length == (ssize_t)sizeof link)
      return fail(o->given, wrong, ENAMETOOLONG);
    link[length] = '\0';
    snprintf(next, sizeof next, "%s%s%s", link[0] == '/' ? "" : directory, link[0] == '/' ? "" : "/", link);
    if (!place_target(o, next, directory, wrong))
      return false;
  }
  return true;
}

/* Makes a new file in the directory, and puts its path into `path`, which must be large enough. -1: errno
   tells why. */
static int make_file(const char *directory, char *path, size_t size, mode_t mode) {
  for (int i = 0; i < TRIES; i++) {
    unsigned char bits[8];
    int descriptor;
    if (!random_bytes(bits, sizeof bits))
      return -1;
    snprintf(path, size, "%s/.llama-cloud-%02x%02x%02x%02x%02x%02x%02x%02x.part", directory, bits[0], bits[1],
             bits[2], bits[3], bits[4], bits[5], bits[6], bits[7]);
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor >= 0 || errno != EEXIST)
      return descriptor;
  }
  return -1;
}

/* Which mode the target is to have: that of the file that is there; if there is none, what the directory and
   the process give to new files, which is found out by making one. (To ask for the umask is to set it, for
   all threads.) */
static bool find_mode(output *o, const char *directory, fault *wrong) {
  char path[PATH_MAX + 64];
  struct stat about;
  int descriptor;
  if (stat(o->target, &about) == 0) {
    o->mode = about.st_mode & 0777;
    if (S_ISDIR(about.st_mode))
      return fail(o->given, wrong, EISDIR);
    if (!S_ISREG(about.st_mode))
      fault_file(wrong, "write", o->given, "it is no regular file");
    return S_ISREG(about.st_mode);
  }
  if (errno != ENOENT)
    return fail(o->given, wrong, errno);
  descriptor = make_file(directory, path, sizeof path, 0666);
  if (descriptor < 0)
    return fail(o->given, wrong, errno);
  if (fstat(descriptor, &about) == 0)
    o->mode = about.st_mode & 0777;
  close(descriptor);
  unlink(path);
  return true;
}

/* Opens the output. */
static bool open_output(output *o, const char *path, fault *wrong) {
  char directory[PATH_MAX], temporary[PATH_MAX + 64];
  struct stat about;
  o->given = strdup(path);
  if (o->given == NULL)
    return out_of_memory(wrong);
  if (!find_target(o, directory, wrong) || !find_mode(o, directory, wrong))
    return false;
  o->descriptor = make_file(directory, temporary, sizeof temporary, 0600);
  if (o->descriptor < 0)
    return fail(o->given, wrong, errno);
  o->temporary = strdup(temporary);
  if (o->temporary == NULL) {
    unlink(temporary);
    return out_of_memory(wrong);
  }
  o->open = true;
  if (fstat(o->descriptor, &about) != 0)
    return fail(o->given, wrong, errno);
  o->device = about.st_dev;
  o->number = about.st_ino;
  close_file(o); /* many may wait for their turn */
  return true;
}

output *output_new(const char *path, fault *wrong) {
  output *o = calloc(1, sizeof *o);
  if (o == NULL) {
    out_of_memory(wrong);
    return NULL;
  }
  o->references = 1;
  o->process = getpid();
  o->descriptor = -1;
  o->mode = 0600;
  if (open_output(o, path, wrong))
    return o;
  output_release(o);
  return NULL;
}

output *output_share(output *o) {
  o->references++;
  return o;
}

void output_discard(output *o) {
  close_file(o);
  if (!o->open)
    return;
  o->open = false;
  if (o->temporary != NULL && o->process == getpid())
    unlink(o->temporary);
}

void output_release(output *o) {
  if (o == NULL || --o->references > 0)
    return;
  output_discard(o);
  free(o->given);
  free(o->target);
  free(o->temporary);
  free(o);
}

/* ---- writing ---- */

bool output_is_open(const output *o) { return o->open; }

uint64_t output_received(const output *o) { return o->received; }

bool output_claim(output *o, const void *writer, fault *wrong) {
  if (!check_usable(o, wrong) || !check_writer(o, writer, wrong))
    return false;
  o->writer = writer;
  return true;
}

void output_leave(output *o, const void *writer) {
  if (o->writer != writer)
    return;
  o->writer = NULL;
  close_file(o);
}

/* Tells the kernel to begin writing what has come since the last time. */
static void begin_flush(output *o) {
#ifdef SYNC_FILE_RANGE_WRITE
  sync_file_range(o->descriptor, (off_t)o->flushed, (off_t)(o->received - o->flushed), SYNC_FILE_RANGE_WRITE);
#endif
  o->flushed = o->received;
}

bool output_write(output *o, const char *data, size_t length, fault *wrong) {
  if (!open_file(o, wrong))
    return false;
  while (length > 0) {
    ssize_t written = quiet_write(o->descriptor, data, length, (off_t)o->received);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return fail(o->given, wrong, written < 0 ? errno : ENOSPC);
    o->received += (uint64_t)written;
    data += written;
    length -= (size_t)written;
  }
  if (o->received - o->flushed >= FLUSHED_BYTES)
    begin_flush(o);
  return true;
}

bool output_reset(output *o, const void *writer, fault *wrong) {
  bool emptied = true;
  if (!check_usable(o, wrong) || !check_writer(o, writer, wrong))
    return false;
  o->lost = 0;
  if (o->received > 0) {
    if (!open_file(o, wrong))
      return false;
    emptied = ftruncate(o->descriptor, 0) == 0 || fail(o->given, wrong, errno);
  }
  if (emptied)
    o->received = o->flushed = 0;
  if (o->writer == NULL)
    close_file(o);
  return emptied;
}

bool output_commit(output *o, fault *wrong) {
  struct stat about;
  bool failed;
  if (!check_usable(o, wrong) || !check_writer(o, NULL, wrong) || !open_file(o, wrong))
    return false;
  if (stat(o->target, &about) == 0 && !S_ISREG(about.st_mode)) {
    fault_file(wrong, "write", o->given, "it is no regular file any more");
    return false;
  }
  (void)fchmod(o->descriptor, o->mode); /* not every file system has modes; then nobody else may read it */
  do
    failed = fsync(o->descriptor) != 0;
  while (failed && errno == EINTR);
  if (failed)
    return fail(o->given, wrong, errno);
  close_file(o);
  if (o->lost != 0 || rename(o->temporary, o->target) != 0)
    return fail(o->given, wrong, o->lost != 0 ? o->lost : errno);
  o->open = false;
  return true;
}
