/* The steps of jobs, by the phases that they belong to (phases.c). Each may be done again after a crash. */
#pragma once

struct error;
struct job_run;

/* target.c: finding a target, of live and cold migrations. */
int target_choose(struct job_run *run, struct error *error);
int target_check(struct job_run *run, struct error *error);
int target_wait(struct job_run *run, struct error *error);

/* live.c */
int live_prepare(struct job_run *run, struct error *error);
int live_move(struct job_run *run, struct error *error);
int live_restore(struct job_run *run, struct error *error);
int live_finish(struct job_run *run, struct error *error);
int live_resolve(struct job_run *run, struct error *error);

/* cold.c */
int cold_stop(struct job_run *run, struct error *error);
int cold_copy(struct job_run *run, struct error *error);
int cold_define(struct job_run *run, struct error *error);
int cold_undefine(struct job_run *run, struct error *error);
int cold_start(struct job_run *run, struct error *error);
int cold_return(struct job_run *run, struct error *error);
int cold_restore(struct job_run *run, struct error *error);
int cold_finish(struct job_run *run, struct error *error);
int cold_resolve(struct job_run *run, struct error *error);

/* confirm.c, revert.c */
int confirm_verify(struct job_run *run, struct error *error);
int revert_stop(struct job_run *run, struct error *error);
int revert_define(struct job_run *run, struct error *error);
int revert_start(struct job_run *run, struct error *error);
int revert_restore(struct job_run *run, struct error *error);

/* power.c */
int power_act(struct job_run *run, struct error *error);
int power_act_again(struct job_run *run, struct error *error);
