/* Figures of this process, from /proc. */
#include "api/core_priv.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The number behind a field of /proc/self/status, in the field's own unit. */
static double status_field(const char *text, const char *field) {
  const char *at = g_strstr_len(text, -1, field);
  return at != NULL ? g_ascii_strtod(at + strlen(field), NULL) : 0;
}

/* Since Linux 6.2 the folder's size is the number of open files; before, they are counted. */
static double open_files(void) {
  struct stat info;
  if (stat("/proc/self/fd", &info) == 0 && info.st_size > 0)
    return (double)info.st_size;
  g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
  double count = 0;
  while (folder != NULL && g_dir_read_name(folder) != NULL)
    count++;
  return count;
}

static double cpu_seconds(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0)
    return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void set(const char *name, const char *help, double value) {
  mnk_metric_set(mnk_gauge(name, help, NULL), value);
}

void mnk_raise_counter(const char *name, const char *help, const char *labels, double total) {
  MnkMetric *metric = mnk_counter(name, help, labels);
  double more = total - mnk_metric_value(metric);
  if (more > 0)
    mnk_metric_add(metric, more);
}

void mnk_process_metrics(void) {
  g_autofree char *status = NULL;
  if (g_file_get_contents("/proc/self/status", &status, NULL, NULL)) {
    set("process_resident_memory_bytes", "Memory of the server process",
        status_field(status, "\nVmRSS:") * 1024);
    set("process_threads", "Threads of the server process", status_field(status, "\nThreads:"));
  }
  set("process_open_fds", "Open files and sockets of the server process", open_files());
  set("process_cpu_seconds", "CPU time of the server process", cpu_seconds());
}
