/* Runs a command and says what it cost: measure SECONDS COMMAND [ARGUMENT...]

   The command's output passes through; the last line is
     {"wall": seconds, "user": seconds, "system": seconds, "peak_kib": peak resident memory, "status": n}
   with the exit status, or 128 and the signal's number. A command that runs longer than SECONDS is killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t child;

/* Ends the command when its time is up. */
static void kill_child(int signal) {
  (void)signal;
  if (child > 0)
    kill((pid_t)child, SIGKILL);
}

static double monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds_of(struct timeval time) { return (double)time.tv_sec + 1e-6 * (double)time.tv_usec; }

int main(int argc, char **argv) {
  struct rusage usage;
  int status;
  if (argc < 3) {
    fputs("usage: measure SECONDS COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  double started = monotonic();
  pid_t pid = fork();
  if (pid == -1) {
    perror("measure: fork");
    return 1;
  } else if (pid == 0) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  child = pid;
  struct sigaction action = {.sa_handler = kill_child, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  alarm((unsigned)atoi(argv[1]));
  if (wait4(pid, &status, 0, &usage) == -1) {
    perror("measure: wait4");
    return 1;
  }
  printf("{\"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, \"peak_kib\": %ld, \"status\": %d}\n",
         monotonic() - started, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), usage.ru_maxrss,
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
