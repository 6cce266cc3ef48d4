//! Writing down which rows of the EMR's could not be read.

use jiff::tz::TimeZone;

use super::App;

impl App {
    /// Writes the unreadable rows that were met since the last time. What can't be written now is kept for the next time.
    pub async fn write_data_problems(&self) {
        let now = self.clock.now();
        let today = TimeZone::UTC.to_datetime(now).date();
        for problems in [self.practices.data_problems(), self.catalogs.data_problems()] {
            for problem in problems.take_unwritten(today) {
                let practicepass = problem.practicepass.as_ref();
                let written =
                    self.control.record_data_problems(practicepass, problem.table, &problem.ids, now).await;
                if let Err(error) = written {
                    tracing::warn!(%error, "unreadable rows are not written down yet");
                    problems.put_back(problem);
                }
            }
        }
    }
}
