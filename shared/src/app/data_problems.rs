//! Records of EMR rows that could not be read.

use jiff::tz::TimeZone;

use super::App;

impl App {
    /// Records the unreadable rows that were found since the last call.
    ///
    /// Rows that cannot be recorded now are kept for the next call.
    pub async fn write_data_problems(&self) {
        let now = self.clock.now();
        let today = TimeZone::UTC.to_datetime(now).date();
        for problems in [self.practices.data_problems(), self.catalogs.data_problems()] {
            for problem in problems.take_unwritten(today) {
                let practicepass = problem.practicepass.as_ref();
                let written =
                    self.control.record_data_problems(practicepass, problem.table, &problem.ids, now).await;
                if let Err(error) = written {
                    tracing::warn!(%error, "unreadable rows could not be recorded; they are kept");
                    problems.put_back(problem);
                }
            }
        }
    }
}
