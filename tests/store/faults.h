/* A disk that fails at will: SQLite's file layer with faults in front. */
#ifndef MNK_TEST_STORE_FAULTS_H
#define MNK_TEST_STORE_FAULTS_H

#include <glib.h>

/* For all databases that this process opens from now on. */
void faults_install(void);
/* Every write, truncation and sync answers with this SQLite code; SQLITE_OK: none does. Any
 * thread. */
void faults_set(int code);
/* The n-th write from now on (0: the next) fails once with this code. */
void faults_set_once(guint n, int code);

#endif
