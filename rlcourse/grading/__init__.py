"""Submissions in; marks, feedback and reports out.

submissions  what the learning platform gave out -> one `Submission` a student
extract      a notebook -> the statements that define each exercise
stage        a copy of the package without any answer, for the student's process
walls        what a process does to itself before it runs a student's code
worker       runs in the student's process: inputs in, plain data out
sandbox      starts workers with limits, and outlives whatever they do
executors    processes of this machine, or a Dask cluster
marking      one submission -> one record; a class -> all of them
judges       what a mark rests on, so that what has changed is graded again
resume       records on disk as they come, for runs that are cut off, and what of them still stands
students     the list of the class, and whose file is whose
rules        deadline, penalty, and which attempt counts
results      records -> results.json and grades.csv, and back
feedback     a record -> the student's page
similarity   a result -> pairs of answers that are nearly the same
report       a result -> the teacher's page
exports      a result -> Gradescope, Classroom 50, Canvas, Moodle, JUnit, nbgrader
command      `rlcourse grade`
"""
